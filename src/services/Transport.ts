/**
 * Sends one call to one backend and hands its bytes to a sink, without Effect `Stream`s in between: this is the hot path.
 *
 * @since 0.1.0
 */
import { Context, Schema } from "effect"
import type { Backend } from "./Fleet.ts"

/**
 * What went wrong between llamero and a backend.
 *
 * - `Refused`: no connection was made; the backend saw nothing.
 * - `ConnectTimeout`: as `Refused`, after the connect limit.
 * - `Reset`: the connection broke after the request was sent.
 * - `Protocol`: the answer was not HTTP.
 * - `Exhausted`: llamero has no sockets or ports left; the backend saw nothing and is not to blame.
 * - `Invalid`: a call that cannot be sent to any backend, such as a header with forbidden characters.
 * - `Timeout`: a first byte, or the next one, did not come in time (said by the relay, never by a transport).
 *
 * @category models
 * @since 0.1.0
 */
export const TransportReason = Schema.Literals([
  "Refused",
  "ConnectTimeout",
  "Reset",
  "Protocol",
  "Exhausted",
  "Invalid",
  "Timeout",
])
/** @category models @since 0.1.0 */
export type TransportReason = typeof TransportReason.Type

/**
 * The one error of a transport.
 *
 * @category errors
 * @since 0.1.0
 */
export class TransportError extends Schema.TaggedError<TransportError>()("TransportError", {
  reason: TransportReason,
  backend: Schema.String,
  description: Schema.String,
}) {
  override get message(): string {
    return `${this.backend}: ${this.description}`
  }
}

/**
 * The upstream's side of an exchange, as the sink sees it.
 *
 * @category models
 * @since 0.1.0
 */
export interface Upstream {
  pause(): void
  resume(): void
  /** Idempotent; the sink hears nothing after it. */
  abort(): void
  /** Bytes of the call's body that no connection has taken yet; absent where a transport cannot tell. Read by a sweeper, never for each chunk. */
  unsent?(): number
}

/**
 * Where the bytes of one answer go. Synchronous.
 *
 * **Details**
 *
 * The order is `open`, `head` at most once, `data` any number of times, then exactly one of `end` or `fail`; `fail` may come without `open` or `head`.
 * A sink that is full calls `Upstream.pause`, and may still get the chunks already under way.
 *
 * @category models
 * @since 0.1.0
 */
export interface ByteSink {
  open(upstream: Upstream): void
  /** `rawHeaders` alternates names and values, as they came. */
  head(status: number, rawHeaders: ReadonlyArray<string>): void
  /** The sink owns the chunk now. */
  data(chunk: Uint8Array): void
  end(): void
  fail(error: TransportError): void
}

/**
 * One HTTP call, ready to send: hop-by-hop headers, `Host`, `Content-Length` and `Origin` are not in it.
 *
 * @category models
 * @since 0.1.0
 */
export interface Call {
  readonly method: string
  /** Path and query, to be put behind the backend's URL. */
  readonly path: string
  /** Alternating names and values. */
  readonly headers: ReadonlyArray<string>
  readonly body: Uint8Array | undefined
}

/**
 * Sends calls to backends.
 *
 * @category services
 * @since 0.1.0
 */
export class Transport extends Context.Service<Transport, {
  /** Never throws and sets no timers of its own but the connect limit. May call the sink before it returns. */
  readonly send: (backend: Backend, call: Call, to: ByteSink) => void
}>()("llamero/services/Transport") {}
