/**
 * The schemas of the requests and the streams in the state of the router. `trafficStates.ts` says what the fields mean.
 *
 * @since 0.1.0
 */
import { Schema } from "effect"
import type * as States from "./trafficStates.ts"

const known = <S extends Schema.Constraint>(schema: S) => Schema.NullOr(schema)
const Bytes = Schema.Number
const Seconds = Schema.Number

const StreamState: Schema.Codec<States.StreamState> = Schema.Struct({
  id: Schema.String,
  route: Schema.String,
  model: Schema.String,
  tenant: Schema.String,
  backend: Schema.String,
  received_at: Schema.String,
  since: Schema.String,
  first_byte_seconds: known(Seconds),
  bytes: Bytes,
}).annotate({ identifier: "Stream" })

/** @category schemas @since 0.1.0 */
export const Streams: Schema.Codec<States.StreamsState> = Schema.Struct({
  count: Schema.Number,
  oldest: Schema.Array(StreamState),
}).annotate({ identifier: "Streams" })

/** @category schemas @since 0.1.0 */
export const Traffic: Schema.Codec<States.TrafficState> = Schema.Struct({
  requests: Schema.Number,
  answered: Schema.Number,
  refused: Schema.Number,
  canceled: Schema.Number,
  failed: Schema.Number,
  shed: Schema.Number,
  retries: Schema.Number,
  cold: Schema.Number,
  prompt_tokens: Schema.Number,
  answer_tokens: Schema.Number,
  bytes_out: Schema.Number,
  queued_seconds: Seconds,
  first_byte_seconds: Seconds,
  first_bytes: Schema.Number,
  total_seconds: Seconds,
}).annotate({ identifier: "Traffic" })

const Latency: Schema.Codec<States.LatencyState> = Schema.Struct({
  measured: Schema.Number,
  p50_seconds: known(Seconds),
  p95_seconds: known(Seconds),
  p99_seconds: known(Seconds),
}).annotate({ identifier: "Latency" })

/** @category schemas @since 0.1.0 */
export const Latencies: Schema.Codec<States.LatenciesState> = Schema.Struct({
  window_seconds: Seconds,
  routing: Latency,
  queue: Latency,
  first_byte: Latency,
}).annotate({ identifier: "Latencies" })
