/**
 * What an endpoint of a simulated server works with. `http/` has the connection, this folder the answers.
 *
 * @since 0.1.0
 */
import { type Clock, Effect, Result } from "effect"
import * as zlib from "node:zlib"
import type { Whole } from "../dialects/dialect.ts"
import { json } from "../dialects/native.ts"
import type { Fault } from "../faults/faults.ts"
import { checkOptions, runnerOptions } from "../scheduler/options.ts"
import type { Wanted } from "../scheduler/request.ts"
import type { Scheduler } from "../scheduler/scheduler.ts"
import type { Disk } from "../models/disk.ts"
import type { SimulatedModel } from "../models/model.ts"
import { type ParsedName, readName } from "../models/names.ts"
import type { Settings } from "../settings.ts"
import { parseKeepAlive } from "../go/time.ts"
import type { Reply } from "../http/reply.ts"
import { Failure } from "../http/failure.ts"
import { decode, type GoStruct } from "../go/decode.ts"

/**
 * A request under way, and the parts of the server that its endpoint needs.
 *
 * @category models
 * @since 0.1.0
 */
export interface EndpointCall {
  readonly reply: Reply
  readonly settings: Settings
  readonly scheduler: Scheduler
  readonly disk: Disk
  readonly clock: Clock.Clock
  /** The last part of a path such as `/api/blobs/:digest`. */
  readonly parameter: string
  /** Milliseconds for which the next request holds its slot before the work on it begins. */
  readonly slotDelay: () => number
  /** A fault that happens while the answer is generated. */
  readonly fault: Fault | undefined
  /** Number of the answer. Ids are made from it, so that the same history has the same ids. */
  readonly number: number
}

/**
 * Writes an answer, or fails with an error that the dialect of the path renders.
 *
 * @category models
 * @since 0.1.0
 */
export type Endpoint = (call: EndpointCall) => Effect.Effect<void, Failure>

/**
 * A `Failure` as an Effect.
 *
 * @category constructors
 * @since 0.1.0
 */
export const refuse = (status: number, text: string): Effect.Effect<never, Failure> =>
  Effect.fail(new Failure({ status, text }))

/**
 * The value, or its error text as a `Failure` with that status.
 *
 * @category combinators
 * @since 0.1.0
 */
export const orRefuse = <A>(status: number, result: Result.Result<A, string>): Effect.Effect<A, Failure> =>
  Result.isSuccess(result) ? Effect.succeed(result.success) : refuse(status, result.failure)

/** Go takes no byte order mark away. */
const decoder = new TextDecoder("utf-8", { ignoreBOM: true })

/**
 * The body as a Go struct. `empty` is the error text for a missing body.
 *
 * @category decoding
 * @since 0.1.0
 */
export const body = (
  call: EndpointCall,
  struct: GoStruct,
  empty = "missing request body",
): Effect.Effect<Record<string, unknown>, Failure> =>
  Effect.flatMap(plain(call), (bytes) => {
    const text = bytes === undefined ? "" : decoder.decode(bytes)
    const decoded = Result.mapError(decode(struct, text), (problem) => problem === "EOF" ? empty : problem)
    // Go reads durations while it decodes, so an invalid one is refused before the model is looked up.
    return orRefuse(
      400,
      Result.flatMap(decoded, (fields) => Result.map(parseKeepAlive(fields["keep_alive"]), () => fields)),
    )
  })

/** The decompressed body: `/v1` accepts `zstd`, up to 20 MB. Node 20 has no zstd: such a body is an error there. */
const plain = ({ reply: { request } }: EndpointCall): Effect.Effect<Uint8Array | undefined, Failure> => {
  const { body, headers, path } = request
  if (body === undefined || headers.length === 0 || !path.startsWith("/v1/")) return Effect.succeed(body)
  const at = headers.findIndex((name, index) => index % 2 === 0 && name.toLowerCase() === "content-encoding")
  if (at < 0 || headers[at + 1]?.toLowerCase() !== "zstd") return Effect.succeed(body)
  return Effect.try({
    try: () => zlib.zstdDecompressSync(body, { maxOutputLength: 20_000_000 }),
    catch: () => new Failure({ status: 400, text: "failed to decompress zstd request body" }),
  })
}

/**
 * Sends a whole answer.
 *
 * @category encoding
 * @since 0.1.0
 */
export const answer = (call: EndpointCall, whole: Whole, status = 200): Effect.Effect<void> =>
  Effect.sync(() => call.reply.whole(status, whole.contentType, whole.body))

/** An answer without a body. @category encoding @since 0.1.0 */
export const nothing = (call: EndpointCall, status: number): Effect.Effect<void> =>
  Effect.sync(() => call.reply.whole(status, undefined, ""))

/**
 * Sends a native answer from JSON text.
 *
 * @category encoding
 * @since 0.1.0
 */
export const answerJson = (call: EndpointCall, text: string): Effect.Effect<void> =>
  answer(call, { contentType: json, body: text })

/**
 * The name in a body: `model`, or the older `name` where that is empty.
 *
 * @category decoding
 * @since 0.1.0
 */
export const spelledOf = (request: Record<string, unknown>): string => String(request["model"] || request["name"] || "")

/**
 * A name as Ollama reads it before it looks for the model. `blank` is the answer where there is none. Names of
 * ollama.com models are refused, because this server's cloud is switched off; `lacks` is what is not available then.
 *
 * @category decoding
 * @since 0.1.0
 */
export const nameOf = (
  spelled: string,
  blank: Failure,
  lacks = "remote model is unavailable",
): Effect.Effect<ParsedName, Failure> => {
  const name = readName(spelled)
  if ("blank" in name) return name.blank ? Effect.fail(blank) : refuse(400, name.text)
  return name.cloud ? refuse(403, `ollama cloud is disabled: ${lacks}`) : Effect.succeed(name)
}

/** Ollama's 400 for a body without a name. @category constants @since 0.1.0 */
export const required = new Failure({ status: 400, text: "model is required" })

/**
 * The model that a request names.
 *
 * @category combinators
 * @since 0.1.0
 */
export const inferenceModel = (
  call: EndpointCall,
  spelled: string,
  missing: (name: string) => string = notFound,
  blank: Failure = new Failure({ status: 404, text: notFound(spelled) }),
): Effect.Effect<SimulatedModel, Failure> =>
  Effect.flatMap(nameOf(spelled, blank), () => {
    const model = call.disk.find(spelled)
    return model === undefined ? refuse(404, missing(spelled)) : Effect.succeed(model)
  })

/**
 * Ollama's error text for a missing model.
 *
 * @category encoding
 * @since 0.1.0
 */
export const notFound = (name: string): string => `model '${name}' not found`

/**
 * How an inference request needs the model loaded: `options`, `keep_alive` and `shift` of its body, checked.
 *
 * @category decoding
 * @since 0.1.0
 */
export const wantedOf = (
  call: EndpointCall,
  model: SimulatedModel,
  request: Record<string, unknown>,
): Effect.Effect<Wanted & { readonly asked: Readonly<Record<string, unknown>> }, Failure> =>
  Effect.flatMap(
    orRefuse(500, checkOptions(request["options"])),
    (asked) =>
      Effect.map(orRefuse(400, parseKeepAlive(request["keep_alive"])), (keepAlive) => ({
        model,
        options: runnerOptions(
          model,
          asked,
          request["shift"] !== false,
          call.scheduler.automaticContext,
          call.scheduler.settings.parallelism,
        ),
        keepAlive,
        asked: { ...model.parameters, ...asked },
      })),
  )
