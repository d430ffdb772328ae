/**
 * Sends one call to one backend and passes the answer's bytes to a sink. No Effect `Stream` is in between, for speed.
 *
 * @since 0.1.0
 */
import { Context, Schema } from "effect"
import type { Backend } from "./Fleet.ts"
import type { TaggedErrorClass } from "./taggedErrorClass.ts"

/**
 * What went wrong between llamero and a backend.
 *
 * - `Refused`: there was no connection; the backend got nothing.
 * - `ConnectTimeout`: as `Refused`, after the limit for connecting.
 * - `Reset`: the connection broke after the call was sent.
 * - `Protocol`: the answer is not HTTP.
 * - `Exhausted`: llamero has no sockets or ports left. The backend got nothing and is not the cause.
 * - `Invalid`: the call cannot be sent to any backend, for example because a header has forbidden characters.
 * - `Timeout`: the first byte or the next one did not come in time. Only the relay uses it, never a transport.
 *
 * @category models
 * @since 0.1.0
 */
export const TransportReason: Schema.Literals<
  readonly ["Refused", "ConnectTimeout", "Reset", "Protocol", "Exhausted", "Invalid", "Timeout"]
> = Schema.Literals([
  "Refused",
  "ConnectTimeout",
  "Reset",
  "Protocol",
  "Exhausted",
  "Invalid",
  "Timeout",
])
/** See the constant of the same name. @category models @since 0.1.0 */
export type TransportReason = typeof TransportReason.Type

const TransportErrorBase: TaggedErrorClass<TransportError, "TransportError", {
  readonly reason: typeof TransportReason
  readonly backend: Schema.String
  readonly description: Schema.String
}> = Schema.TaggedError<TransportError>()("TransportError", {
  reason: TransportReason,
  backend: Schema.String,
  description: Schema.String,
})

/**
 * The only error of a transport.
 *
 * @category errors
 * @since 0.1.0
 */
export class TransportError extends TransportErrorBase {
  override get message(): string {
    return `${this.backend}: ${this.description}`
  }
}

/**
 * How a sink controls the call whose answer it gets.
 *
 * @category models
 * @since 0.1.0
 */
export interface Upstream {
  pause(): void
  resume(): void
  /** Ends the call. The sink gets nothing more. A second `abort` does nothing. */
  abort(): void
  /**
   * Bytes of the call's body that no connection has taken yet. Absent when a transport cannot tell. The relay reads it
   * a few times a second, not for every chunk.
   */
  unsent?(): number
}

/**
 * Takes the bytes of one answer. All methods are synchronous.
 *
 * **Details**
 *
 * The order is: `open`, `head` at most once, `data` any number of times, then `end` or `fail`, exactly once. `fail` can
 * come without `open` or `head`. A sink that is full calls `Upstream.pause`; it can still get some chunks after that.
 *
 * @category models
 * @since 0.1.0
 */
export interface ByteSink {
  open(upstream: Upstream): void
  /** `rawHeaders` has names and values in turn, as the backend sent them. */
  head(status: number, rawHeaders: ReadonlyArray<string>): void
  /** The chunk belongs to the sink from then on. */
  data(chunk: Uint8Array): void
  end(): void
  fail(error: TransportError): void
}

/**
 * One HTTP call. Its headers have no hop-by-hop headers, no `Host`, no `Content-Length` and no `Origin`.
 *
 * @category models
 * @since 0.1.0
 */
export interface Call {
  readonly method: string
  /** Path and query, which follow the backend's URL. */
  readonly path: string
  /** Names and values in turn. */
  readonly headers: ReadonlyArray<string>
  readonly body: Uint8Array | undefined
}

const key = "llamero/services/Transport"
const Base: Context.ServiceClass<Transport, typeof key, Service> = Context.Service<Transport, Service>()(key)

/**
 * Sends calls to backends.
 *
 * @category services
 * @since 0.1.0
 */
export class Transport extends Base {}

/** The members of `Transport`. @category services @since 0.1.0 */
export interface Service {
  /**
   * Sends a call. Never throws. Sets no timer but the one for connecting: the relay watches time. Can call the sink
   * before it returns.
   */
  readonly send: (backend: Backend, call: Call, to: ByteSink) => void
  /**
   * Bytes that have come from a backend so far. It only rises while calls to the backend run. Absent when a transport
   * cannot tell. `BackendHealth` reads it before and after a probe: bytes that arrive are a sign of life.
   */
  readonly received?: ((backend: Backend) => number) | undefined
}
