/**
 * The schemas of the state of the router as operators read it. `states.ts` says what the fields mean.
 *
 * @since 0.1.0
 */
import { Schema } from "effect"
import { Plan, Prewarm } from "./planSchemas.ts"
import type * as States from "./states.ts"
import { Latencies, Streams, Traffic } from "./trafficSchemas.ts"

const known = <S extends Schema.Constraint>(schema: S) => Schema.NullOr(schema)
const Bytes = Schema.Number
const Seconds = Schema.Number
const Breaker = Schema.Literals(["closed", "open", "half-open", "isolated"])

/** @category schemas @since 0.1.0 */
export const Queue: Schema.Codec<States.QueueState> = Schema.Struct({
  model: Schema.String,
  depth: Schema.Number,
  bytes: Bytes,
  oldest_seconds: Seconds,
  estimated_wait_seconds: Seconds,
  classes: Schema.Struct({ interactive: Schema.Number, default: Schema.Number, batch: Schema.Number }),
  tenants: Schema.Array(Schema.Struct({ tenant: Schema.String, depth: Schema.Number })),
}).annotate({ identifier: "Queue" })

/** @category schemas @since 0.1.0 */
export const BreakerState: Schema.Codec<States.BreakerState> = Schema.Struct({
  backend: Schema.String,
  model: Schema.NullOr(Schema.String),
  state: Breaker,
  retry_seconds: Seconds,
}).annotate({ identifier: "Breaker" })

/** @category schemas @since 0.1.0 */
export const CatalogModel: Schema.Codec<States.CatalogModel> = Schema.Struct({
  model: Schema.String,
  remote: Schema.Boolean,
  capabilities: Schema.Array(Schema.String),
  context_trained: known(Schema.Number),
  backends: Schema.Array(Schema.Struct({ backend: Schema.String, digest: Schema.String, size: Bytes })),
}).annotate({ identifier: "CatalogModel" })

/** @category schemas @since 0.1.0 */
export const Resident: Schema.Codec<States.ResidentState> = Schema.Struct({
  model: Schema.String,
  state: Schema.Literals(["loading", "resident", "draining"]),
  size: known(Bytes),
  size_vram: known(Bytes),
  context: known(Schema.Number),
  expires_at: known(Schema.String),
  source: Schema.Literals(["observed", "assumed"]),
  streams: Schema.Number,
  streams_max: Schema.Number,
  pinned: Schema.Boolean,
  spilled: Schema.Boolean,
}).annotate({ identifier: "Resident" })

/** @category schemas @since 0.1.0 */
export const Backend: Schema.Codec<States.BackendState> = Schema.Struct({
  id: Schema.String,
  url: Schema.String,
  labels: Schema.Record(Schema.String, Schema.String),
  weight: Schema.Number,
  member: Schema.Literals(["active", "draining", "isolated"]),
  health: Schema.Literals(["unknown", "healthy", "unhealthy"]),
  reason: Schema.String,
  since: known(Schema.String),
  version: known(Schema.String),
  breaker: Breaker,
  streams: Schema.Number,
  streams_max: Schema.Number,
  first_byte_seconds: known(Seconds),
  last_used_at: known(Schema.String),
  devices: Schema.Array(Schema.String),
  room: known(Bytes),
  limit: known(Bytes),
  models: Schema.Array(Resident),
  pins: Schema.Array(Schema.String),
}).annotate({ identifier: "Backend" })

/** @category schemas @since 0.1.0 */
export const Device: Schema.Codec<States.DeviceState> = Schema.Struct({
  device: Schema.String,
  backends: Schema.Array(Schema.String),
  declared: known(Bytes),
  total: known(Bytes),
  free: known(Bytes),
  capacity: known(Bytes),
  held: Bytes,
  reserve: known(Bytes),
  foreign: known(Bytes),
  read_at: known(Schema.String),
  failure: Schema.String,
  models: Schema.Array(Schema.Struct({
    backend: Schema.String,
    model: Schema.String,
    bytes: Bytes,
    state: Schema.Literals(["reserved", "loading", "resident", "draining", "releasing", "gone"]),
  })),
}).annotate({ identifier: "Device" })

/** @category schemas @since 0.1.0 */
export const State: Schema.Codec<States.State> = Schema.Struct({
  at: Schema.String,
  router: Schema.Struct({
    draining: Schema.Boolean,
    requests: Schema.Number,
    leases: Schema.Number,
    prewarmed: Schema.Boolean,
    events_lost: Schema.Number,
    simulated: Schema.Boolean,
  }),
  traffic: Traffic,
  latency: Latencies,
  streams: Streams,
  backends: Schema.Array(Backend),
  devices: Schema.Array(Device),
  queues: Schema.Array(Queue),
  breakers: Schema.Array(BreakerState),
  prewarm: Schema.Array(Prewarm),
  plans: Schema.Array(Plan),
}).annotate({ identifier: "State" })

/** @category schemas @since 0.1.0 */
export const Change: Schema.Codec<States.Change> = Schema.Struct({
  at: Schema.String,
  who: Schema.String,
  address: known(Schema.String),
  action: Schema.String,
  backend: known(Schema.String),
  model: known(Schema.String),
  result: Schema.Literals(["done", "refused", "failed"]),
  reason: Schema.String,
}).annotate({ identifier: "Change" })

/** @category schemas @since 0.1.0 */
export const Done: Schema.Codec<States.Done> = Schema.Struct({
  done: Schema.String,
  backend: Backend,
}).annotate({ identifier: "Done" })
