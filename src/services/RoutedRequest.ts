/**
 * One inference call as the router sees it: the envelope, read from the body without parsing the rest of it.
 *
 * @since 0.1.0
 */
import type { Grant } from "./ApiKeys.ts"
import type { Model } from "./ModelCatalog.ts"
import type { Priority } from "./Priority.ts"

/** What a call asks for. @category models @since 0.1.0 */
export type RequestKind = "generate" | "chat" | "embed" | "transcribe"

/**
 * Whose shapes the client speaks: Ollama's own, OpenAI's (`/v1`), Anthropic's (`/v1/messages`), or the brief's `/api/v1/generate`.
 *
 * @category models
 * @since 0.1.0
 */
export type Dialect = "native" | "openai" | "anthropic" | "brief"

/**
 * How a stream of this endpoint is cut into records, and how its last one is recognised.
 *
 * @category models
 * @since 0.1.0
 */
export type StreamEnd = "done-true" | "done-marker" | "message-stop" | "response-completed" | "none"

/**
 * One inference path, described once.
 *
 * @category models
 * @since 0.1.0
 */
export interface Endpoint {
  /** As the client calls it, and the `route` label of metrics. */
  readonly path: string
  /** As the backend is called; differs from `path` only in the brief's own endpoint. */
  readonly upstreamPath: string
  readonly kind: RequestKind
  readonly dialect: Dialect
  /** What a body without `stream` means. */
  readonly streamsByDefault: boolean
  readonly streamEnd: StreamEnd
}

/** Byte offsets into a body: from `start` up to, not including, `end`. @category models @since 0.1.0 */
export interface Span {
  readonly start: number
  readonly end: number
}

/** A value that says how a runner is to be loaded, and where it stands. @category models @since 0.1.0 */
export interface RunnerOption extends Span {
  /** `num_thread`, `num_gpu`, `num_batch`, `main_gpu`, `use_mmap`, `draft_num_predict`, or `shift` (at the top). */
  readonly name: string
}

/**
 * What the scanner took from a body. Spans let a rewrite be a splice.
 *
 * @category models
 * @since 0.1.0
 */
export interface Envelope {
  /** As the client spelt it; empty when absent. */
  readonly model: string
  /** Of the JSON string, quotes included. */
  readonly modelSpan: Span | undefined
  readonly stream: boolean | undefined
  readonly streamSpan: Span | undefined
  /** The raw JSON of `keep_alive`, where given. */
  readonly keepAlive: string | undefined
  readonly keepAliveSpan: Span | undefined
  /** `options.num_ctx`, where it is a number. */
  readonly numCtx: number | undefined
  readonly numCtxSpan: Span | undefined
  /** The other values that would make Ollama load a model again. */
  readonly runnerOptions: ReadonlyArray<RunnerOption>
  /** Asks for the same answer every time: `temperature` is 0, or a `seed` is given. */
  readonly deterministic: boolean
  /** Bytes of JSON text under the prompt-like keys (`prompt`, `messages`, `input`, `system`, `suffix`, `tools`, `instructions`), images apart. */
  readonly promptBytes: number
  /** Images, in whatever way the dialect carries them: long base64 strings inside lists and objects. */
  readonly images: number
  /** Bytes of the strings that hold them. */
  readonly imageBytes: number
  /** Nothing to generate: an empty or absent prompt (a load or unload call in the native dialect). */
  readonly emptyPrompt: boolean
}

/**
 * What to change in a body; what is absent stays.
 *
 * @category models
 * @since 0.1.0
 */
export interface Changes {
  readonly model?: string | undefined
  readonly stream?: boolean | undefined
  /** `null` takes it away (Ollama reads `null` as absent). */
  readonly numCtx?: number | null | undefined
  /** `null` takes all of `Envelope.runnerOptions` away. */
  readonly runnerOptions?: null | undefined
  /** Raw JSON: `-1`, `"5m"`; `null` takes it away. */
  readonly keepAlive?: string | null | undefined
}

/**
 * A call on its way through the router.
 *
 * @category models
 * @since 0.1.0
 */
export interface RoutedRequest {
  /** Taken from the client's `X-Request-Id` or made; returned, and passed on. */
  readonly id: string
  readonly endpoint: Endpoint
  /** Alternating names and values, as the client sent them. */
  readonly headers: ReadonlyArray<string>
  readonly body: Uint8Array
  readonly envelope: Envelope
  readonly tenant: string
  readonly priority: Priority
  /** Of the client's API key, where a guard has asked for one. */
  readonly grant?: Grant | undefined
  /** Milliseconds since the epoch, by the router's clock. */
  readonly receivedAt: number
  /** Longest wait in a queue, in milliseconds; the layer's default when absent. */
  readonly queueMillis?: number | undefined
  /** Hash that names the session it belongs to, where a guard has found one. */
  readonly session?: number | undefined
}

/** Where a request stands in its queue. @category models @since 0.1.0 */
export interface QueuePlace {
  /** From 1, as things are: who comes later with a better class, or from a tenant that has had less, may still go before. */
  readonly position: number
  /** Milliseconds until its turn, by how fast the queue has been draining. */
  readonly waitMillis: number
}

/** A request that waits. @category models @since 0.1.0 */
export interface QueueEntry {
  /** Whether it waits for a load of its model that is under way. */
  readonly loading: boolean
  /** `now` by the router's clock, in milliseconds. */
  place(now: number): QueuePlace
}

/**
 * What admission, placement and leases need to know of a request.
 *
 * @category models
 * @since 0.1.0
 */
export interface Demand {
  readonly id: string
  readonly kind: RequestKind
  readonly model: Model
  /** The context the client asked for, in tokens, and no more than the model was trained with. */
  readonly numCtx: number | undefined
  /** The explicit context that the model is to be loaded with for it; the automatic one when absent. */
  readonly tier?: number | undefined
  /** It wants the model removed from memory afterwards, so it is no sign that anybody needs it there. */
  readonly keepsNothing?: boolean | undefined
  readonly promptTokens: number
  /** Held in memory while it waits. */
  readonly bytes: number
  readonly tenant: string
  /** Read again while it waits: whoever shares this demand between several callers may raise it. */
  priority: Priority
  /** When it arrived, by the router's clock, in milliseconds. */
  readonly since: number
  readonly queueMillis: number | undefined
  /** Of the request. */
  readonly session?: number | undefined
  /**
   * Until when it waits, by the router's clock, in milliseconds. Set by admission when the request first has to wait, moved on by what a load takes, and kept
   * when it is tried again. Read again while it waits: whoever shares this demand between several callers may move it on.
   */
  deadline?: number | undefined
  /** Set by admission for as long as it waits. */
  waiting?: QueueEntry | undefined
  /** Whether it has waited for a load of its model: set by admission. */
  cold?: boolean | undefined
  /** Backends that an earlier attempt of the same request failed on. */
  readonly excluded: ReadonlyArray<string>
  /** Whether the model must be in memory first; not so for a call that unloads it. */
  readonly loads: boolean
}

/** The value of a header in a raw list, whatever its case; the first one where there are several. @category accessors @since 0.1.0 */
export const header = (raw: ReadonlyArray<string>, lowerCaseName: string): string | undefined => {
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const name = raw[i]!
    if (name.length === lowerCaseName.length && name.toLowerCase() === lowerCaseName) return raw[i + 1]
  }
  return undefined
}
