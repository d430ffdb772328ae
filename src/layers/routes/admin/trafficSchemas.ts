/**
 * The requests and the streams in the state of the router. Times are ISO 8601, durations are seconds, sizes are bytes;
 * `null` means "not known".
 *
 * @since 0.1.0
 */
import { Schema } from "effect"

const known = <S extends Schema.Constraint>(schema: S) => Schema.NullOr(schema)
const Bytes = Schema.Number
const Seconds = Schema.Number

/** A call to a backend that has not ended. @category schemas @since 0.1.0 */
export const StreamState = Schema.Struct({
  /** The `X-Request-Id`. */
  id: Schema.String,
  route: Schema.String,
  model: Schema.String,
  tenant: Schema.String,
  backend: Schema.String,
  /** When the request came, and when it was sent to the backend. */
  received_at: Schema.String,
  since: Schema.String,
  /** From there to the first byte of the answer; `null` before it. */
  first_byte_seconds: known(Seconds),
  /** Bytes of the answer so far. */
  bytes: Bytes,
}).annotate({ identifier: "Stream" })

/** @category schemas @since 0.1.0 */
export const Streams = Schema.Struct({
  count: Schema.Number,
  /** The 100 that began first. */
  oldest: Schema.Array(StreamState),
}).annotate({ identifier: "Streams" })

/**
 * Sums since the routes were built. A rate is the difference of two of them over the time between.
 *
 * @category schemas
 * @since 0.1.0
 */
export const Traffic = Schema.Struct({
  requests: Schema.Number,
  answered: Schema.Number,
  refused: Schema.Number,
  canceled: Schema.Number,
  /** Answered or refused with a status of 500 and above. */
  failed: Schema.Number,
  /** Refused because of load. */
  shed: Schema.Number,
  retries: Schema.Number,
  cold: Schema.Number,
  prompt_tokens: Schema.Number,
  answer_tokens: Schema.Number,
  bytes_out: Schema.Number,
  queued_seconds: Seconds,
  first_byte_seconds: Seconds,
  /** Requests in `first_byte_seconds`. */
  first_bytes: Schema.Number,
  total_seconds: Seconds,
}).annotate({ identifier: "Traffic" })

/** How long a part of the way took, for the requests of the last minute. `null` where there were none. */
const Latency = Schema.Struct({
  /** The requests that were measured. */
  measured: Schema.Number,
  p50_seconds: known(Seconds),
  p95_seconds: known(Seconds),
  p99_seconds: known(Seconds),
}).annotate({ identifier: "Latency" })

/** How long requests took of late. @category schemas @since 0.1.0 */
export const Latencies = Schema.Struct({
  /** How far back it looks. */
  window_seconds: Seconds,
  /** What the router itself adds, without waits. It is measured for one request of 16. */
  routing: Latency,
  /** From the arrival to the dispatch: waits for a slot and for a load. */
  queue: Latency,
  /** From the dispatch to the first byte of the answer. */
  first_byte: Latency,
}).annotate({ identifier: "Latencies" })

/** @category models @since 0.1.0 */
export type TrafficState = typeof Traffic.Type
/** @category models @since 0.1.0 */
export type LatencyState = typeof Latency.Type
