/**
 * One inference call as the router sees it. Its envelope is read from the body, the rest of which is never parsed.
 *
 * @since 0.1.0
 */
import type { Grant } from "./ApiKeys.ts"
import type { Model } from "./ModelCatalog.ts"
import type { Priority } from "./Priority.ts"

/** What a call asks for. @category models @since 0.1.0 */
export type RequestKind = "generate" | "chat" | "embed" | "transcribe"

/**
 * The format of requests, answers and errors that the client uses.
 *
 * - `native`: Ollama's own, under `/api`.
 * - `openai`: OpenAI's, under `/v1`.
 * - `anthropic`: Anthropic's, on `/v1/messages`.
 * - `generate-v1`: llamero's own, on `POST /api/v1/generate`.
 *
 * @category models
 * @since 0.1.0
 */
export type Dialect = "native" | "openai" | "anthropic" | "generate-v1"

/**
 * How the last record of a stream is recognised; `none` where the endpoint does not stream.
 *
 * @category models
 * @since 0.1.0
 */
export type StreamEnd = "done-true" | "done-marker" | "message-stop" | "response-completed" | "none"

/**
 * The properties of one inference path.
 *
 * @category models
 * @since 0.1.0
 */
export interface Endpoint {
  /** The path that clients call. It is also the `route` label of metrics. */
  readonly path: string
  /** The path that is called on the backend. It differs from `path` for `generate-v1` only. */
  readonly upstreamPath: string
  readonly kind: RequestKind
  readonly dialect: Dialect
  /** Whether a body without `stream` asks for a stream. */
  readonly streamsByDefault: boolean
  readonly streamEnd: StreamEnd
}

/** Byte offsets into a body: from `start` to `end`, which is excluded. @category models @since 0.1.0 */
export interface Span {
  readonly start: number
  readonly end: number
}

/** The span of a value that changes how Ollama loads a model. @category models @since 0.1.0 */
export interface RunnerOption extends Span {
  /**
   * `num_thread`, `num_gpu`, `num_batch`, `main_gpu`, `use_mmap` or `draft_num_predict`, which are under `options`; or
   * `shift`, which is a top-level key.
   */
  readonly name: string
}

/**
 * What the scanner read from a body. A rewrite uses the spans to replace values without parsing the body.
 *
 * @category models
 * @since 0.1.0
 */
export interface Envelope {
  /** The model's name as the client wrote it; empty when absent. */
  readonly model: string
  /** The span of the JSON string, quotes included. */
  readonly modelSpan: Span | undefined
  readonly stream: boolean | undefined
  readonly streamSpan: Span | undefined
  /** The raw JSON of `keep_alive`; `undefined` when absent or `null`. */
  readonly keepAlive: string | undefined
  readonly keepAliveSpan: Span | undefined
  /** `options.num_ctx`, in tokens; `undefined` when absent or `null`. */
  readonly numCtx: number | undefined
  readonly numCtxSpan: Span | undefined
  /** The other values, besides `num_ctx`, that can make Ollama load a model again. */
  readonly runnerOptions: ReadonlyArray<RunnerOption>
  /** The request asks for the same answer every time: `temperature` is 0, or there is a `seed`. */
  readonly deterministic: boolean
  /**
   * Bytes of JSON text, without images, under the keys that hold the prompt: `prompt`, `messages`, `input`, `system`,
   * `suffix`, `tools` and `instructions`.
   */
  readonly promptBytes: number
  /** Number of images: long base64 strings inside lists and objects, which is how all dialects carry images. */
  readonly images: number
  /** Bytes of the strings that hold the images. */
  readonly imageBytes: number
  /** The prompt is empty or absent. In the native dialect such a call only loads or unloads the model. */
  readonly emptyPrompt: boolean
  /**
   * The client asks for a prompt that is too long to be cut: `truncate` is `true`, or `truncation` is `auto`. Without
   * these fields Ollama cuts, too, but then the client has not asked for it.
   */
  readonly cuts?: boolean | undefined
}

/**
 * What to change in a body. A field that is absent here stays as it is in the body.
 *
 * @category models
 * @since 0.1.0
 */
export interface Changes {
  readonly model?: string | undefined
  readonly stream?: boolean | undefined
  /** `null` removes it: the body gets `null`, which Ollama reads as absent. */
  readonly numCtx?: number | null | undefined
  /** `null` removes all of `Envelope.runnerOptions`. */
  readonly runnerOptions?: null | undefined
  /** Raw JSON, such as `-1` or `"5m"`; `null` removes it. */
  readonly keepAlive?: string | null | undefined
}

/**
 * A call that the router takes.
 *
 * @category models
 * @since 0.1.0
 */
export interface RoutedRequest {
  /** The client's `X-Request-Id`, or an id that the server made. The client and the backend get it. */
  readonly id: string
  readonly endpoint: Endpoint
  /** Names and values in turn, as the client sent them. */
  readonly headers: ReadonlyArray<string>
  readonly body: Uint8Array
  readonly envelope: Envelope
  readonly tenant: string
  /** The address from which the client has connected, without its port; absent where the server does not know it. */
  readonly address?: string | undefined
  readonly priority: Priority
  /** What the client's API key allows, when a guard has read one. */
  readonly grant?: Grant | undefined
  /** Whether it came over the server's listener for users of this machine. Nothing that a client sends can set it. */
  readonly local?: boolean | undefined
  /** When its body had come: milliseconds since the epoch, by the router's clock. */
  readonly receivedAt: number
  /** When its head came, by the same clock. */
  readonly arrivedAt?: number | undefined
  /** Longest wait in a queue, in milliseconds; the default of the admission layer when absent. */
  readonly queueMillis?: number | undefined
  /** Hash of the session that the request belongs to, when a guard has found one. */
  readonly session?: number | undefined
}

/** The place of a request in its queue. @category models @since 0.1.0 */
export interface QueuePlace {
  /** 1 for the next one. A request of a better class, or of a tenant that has had fewer turns, can still overtake. */
  readonly position: number
  /** Milliseconds until its turn, estimated from how fast the queue has moved. */
  readonly waitMillis: number
}

/** A request that waits in a queue. @category models @since 0.1.0 */
export interface QueueEntry {
  /** Whether it waits for a load of its model that has begun. */
  readonly loading: boolean
  /** Its place at `now`, in milliseconds by the router's clock. */
  place(now: number): QueuePlace
}

/**
 * A request as admission, placement and leases see it.
 *
 * @category models
 * @since 0.1.0
 */
export interface Demand {
  readonly id: string
  readonly kind: RequestKind
  readonly model: Model
  /** The context that the client asked for, in tokens, but no more than the model was trained with. */
  readonly numCtx: number | undefined
  /** The explicit context, in tokens, to load the model with; the automatic one when absent. */
  readonly tier?: number | undefined
  /** The request has `keep_alive: 0`, so it is no sign that the model is still needed in memory. */
  readonly keepsNothing?: boolean | undefined
  /** The estimated tokens of the prompt. */
  readonly promptTokens: number
  /** Bytes of the body, which the router holds while the request waits. */
  readonly bytes: number
  readonly tenant: string
  /** Who asks: see `clientOf`. */
  readonly client?: string | undefined
  /** Admission reads it again while the request waits: a demand that several callers share can get a better class. */
  priority: Priority
  /** When the request arrived, by the router's clock, in milliseconds. */
  readonly since: number
  /** Longest wait in a queue, in milliseconds; the default of the admission layer when absent. */
  readonly queueMillis: number | undefined
  /** See `RoutedRequest.session`. */
  readonly session?: number | undefined
  /**
   * The end of its wait, by the router's clock, in milliseconds. Admission sets it when the request first has to wait,
   * adds the time that a load takes, and keeps it for later attempts. It reads it again while the request waits: a
   * demand that several callers share can get a later one.
   */
  deadline?: number | undefined
  /** Set by admission while the request waits. */
  waiting?: QueueEntry | undefined
  /** Whether the request has waited for a load of its model. Set by admission. */
  cold?: boolean | undefined
  /** Ids of the backends on which an attempt of this request has failed, or that do not have its path. */
  readonly excluded: ReadonlyArray<string>
  /** Whether the model must be in memory first. `false` for a call that only unloads it. */
  readonly loads: boolean
}

/** The tenant of a request that no header and no guard gives to another. @category constants @since 0.1.0 */
export const defaultTenant = "default"

/**
 * Who sends a request: its tenant, or where it has none, the address of the client. Of two requests with different
 * values, one is "another client's" for the other one.
 *
 * **Gotchas**
 *
 * Behind a proxy all clients have the proxy's address: let the proxy set a tenant.
 *
 * @category accessors
 * @since 0.1.0
 */
export const clientOf = ({ address, grant, tenant }: RoutedRequest): string =>
  grant !== undefined || tenant !== defaultTenant ? tenant : `@${address ?? ""}`

/**
 * The value of a header in a list of names and values in turn, in any letter case. The first one counts.
 *
 * @category accessors
 * @since 0.1.0
 */
export const header = (raw: ReadonlyArray<string>, lowerCaseName: string): string | undefined => {
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const name = raw[i]!
    if (name.length === lowerCaseName.length && name.toLowerCase() === lowerCaseName) return raw[i + 1]
  }
  return undefined
}
