/**
 * The calls of the admin API that read the state of the router.
 *
 * @since 0.1.0
 */
import { Schema } from "effect"
import * as HttpApiGroup from "effect/http-api/HttpApiGroup"
import * as HttpApiSchema from "effect/http-api/HttpApiSchema"
import { type Get, get, type GetRaw, type OfId, says } from "./endpoint.ts"
import * as Errors from "./errors.ts"
import { Plan, Prewarm } from "./planSchemas.ts"
import type { PlanState, PrewarmState } from "./planStates.ts"
import type * as States from "./states.ts"
import * as Schemas from "./stateSchemas.ts"
import { Streams } from "./trafficSchemas.ts"
import type { StreamsState } from "./trafficStates.ts"

/** A list under one name. */
type ListOf<Name extends string, A> = { readonly [K in Name]: ReadonlyArray<A> }

const state: Get<"state", "/admin/state", States.State> = get("state", "/admin/state", { success: Schemas.State })
  .annotateMerge(says("The whole state of the router"))

const backends: Get<"backends", "/admin/backends", ListOf<"backends", States.BackendState>> = get(
  "backends",
  "/admin/backends",
  { success: Schema.Struct({ backends: Schema.Array(Schemas.Backend) }) },
).annotateMerge(says("Every backend"))

const backend: Get<"backend", "/admin/backends/:id", States.BackendState, Errors.Unknown, OfId> = get(
  "backend",
  "/admin/backends/:id",
  { params: { id: Schema.String }, success: Schemas.Backend, error: Errors.Unknown },
).annotateMerge(says("One backend"))

const devices: Get<"devices", "/admin/devices", ListOf<"devices", States.DeviceState>> = get(
  "devices",
  "/admin/devices",
  { success: Schema.Struct({ devices: Schema.Array(Schemas.Device) }) },
).annotateMerge(says("The memory of every device, and the models that it is charged with"))

const models: Get<"models", "/admin/models", ListOf<"models", States.CatalogModel>> = get(
  "models",
  "/admin/models",
  { success: Schema.Struct({ models: Schema.Array(Schemas.CatalogModel) }) },
).annotateMerge(says("The models that backends have on disk"))

const queues: Get<"queues", "/admin/queues", ListOf<"queues", States.QueueState>> = get(
  "queues",
  "/admin/queues",
  { success: Schema.Struct({ queues: Schema.Array(Schemas.Queue) }) },
).annotateMerge(says("The queues that are not empty"))

const breakers: Get<"breakers", "/admin/breakers", ListOf<"breakers", States.BreakerState>> = get(
  "breakers",
  "/admin/breakers",
  { success: Schema.Struct({ breakers: Schema.Array(Schemas.BreakerState) }) },
).annotateMerge(says("The breaker of every backend, and those of models that are not closed"))

const streams: Get<"streams", "/admin/streams", StreamsState> = get("streams", "/admin/streams", { success: Streams })
  .annotateMerge(says("The calls to backends that have not ended", "The 100 that began first, one by one."))

type Prewarms = ListOf<"prewarm", PrewarmState> & ListOf<"plans", PlanState>

const prewarm: Get<"prewarm", "/admin/prewarm", Prewarms> = get(
  "prewarm",
  "/admin/prewarm",
  { success: Schema.Struct({ prewarm: Schema.Array(Prewarm), plans: Schema.Array(Plan) }) },
).annotateMerge(says("The models that plans want in memory, the state of each, and the plans with their times"))

const changes: Get<
  "changes",
  "/admin/changes",
  ListOf<"changes", States.Change>,
  Errors.BadCall,
  { readonly query: { readonly limit?: string } }
> = get("changes", "/admin/changes", {
  query: { limit: Schema.optionalKey(Schema.String) },
  success: Schema.Struct({ changes: Schema.Array(Schemas.Change) }),
  error: Errors.BadCall,
}).annotateMerge(says("What operators have changed, newest first", "The last 500. `limit` asks for fewer."))

/** Server-sent events, each with JSON of any kind. */
type Events = HttpApiSchema.StreamSse<HttpApiSchema.SseEventFromData<Schema.Unknown>, Schema.Never, unknown>

const events: GetRaw<"events", "/admin/events", Events, Errors.TooMany> = get("events", "/admin/events", {
  success: HttpApiSchema.StreamSse({ data: Schema.Unknown }),
  error: Errors.TooMany,
}).annotateMerge(says(
  "Server-sent events: the state, then what changes",
  "`snapshot` has the whole state. `change` has the parts that are different: whole backends and devices by id, the " +
    "ids of those that are gone, and whole lists. `event` is one event of the router. A comment comes at least every " +
    "15 seconds.",
))

/** @category groups @since 0.1.0 */
export const stateCalls: HttpApiGroup.HttpApiGroup<
  "state",
  | typeof state
  | typeof backends
  | typeof backend
  | typeof devices
  | typeof models
  | typeof queues
  | typeof breakers
  | typeof streams
  | typeof prewarm
  | typeof changes
  | typeof events
> = HttpApiGroup.make("state")
  .add(state, backends, backend, devices, models, queues, breakers, streams, prewarm, changes, events)
  .annotateMerge(says("", "Reads the router. Nothing here changes anything."))
