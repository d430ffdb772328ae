/**
 * The admin API as a value: its paths, what they take and what they answer. `AdminRoutes` serves it, its OpenAPI
 * document is made from it, and Effect's `HttpApiClient` makes a typed client from it.
 *
 * @since 0.1.0
 */
import { Context, Schema } from "effect"
import * as HttpApi from "effect/http-api/HttpApi"
import * as HttpApiEndpoint from "effect/http-api/HttpApiEndpoint"
import * as HttpApiGroup from "effect/http-api/HttpApiGroup"
import * as HttpApiMiddleware from "effect/http-api/HttpApiMiddleware"
import * as HttpApiSchema from "effect/http-api/HttpApiSchema"
import * as HttpApiSecurity from "effect/http-api/HttpApiSecurity"
import * as OpenApi from "effect/http-api/OpenApi"
import * as Errors from "./admin/errors.ts"
import * as Plans from "./admin/planSchemas.ts"
import * as States from "./admin/stateSchemas.ts"
import { Streams } from "./admin/trafficSchemas.ts"

export { BadCall, Failed, NotNow, NoToken, TooMany, Unknown } from "./admin/errors.ts"
export type { BackendState, DeviceState, State } from "./admin/stateSchemas.ts"
export type { LatencyState, TrafficState } from "./admin/trafficSchemas.ts"

/**
 * Who calls: the name of the token, and the address. Changes are recorded under it.
 *
 * @category services
 * @since 0.1.0
 */
export class Operator extends Context.Service<Operator, {
  readonly who: string
  readonly address: string | undefined
}>()("llamero/layers/routes/AdminApi/Operator") {}

/** Asks for the token. @category middleware @since 0.1.0 */
export class Access extends HttpApiMiddleware.Service<Access, { provides: Operator }>()(
  "llamero/layers/routes/AdminApi/Access",
  { security: { token: HttpApiSecurity.bearer }, error: Errors.NoToken },
) {}

/** Says in words what is wrong with a call that cannot be read. @category middleware @since 0.1.0 */
export class Readable extends HttpApiMiddleware.Service<Readable>()("llamero/layers/routes/AdminApi/Readable", {
  error: Errors.BadCall,
}) {}

const get = HttpApiEndpoint.get
const post = HttpApiEndpoint.post
const says = (summary: string, description?: string) => OpenApi.annotations({ summary, description })

const state = HttpApiGroup.make("state").add(
  get("state", "/admin/state", { success: States.State }).annotateMerge(says("The whole state of the router")),
  get("backends", "/admin/backends", { success: Schema.Struct({ backends: Schema.Array(States.Backend) }) })
    .annotateMerge(says("Every backend")),
  get("backend", "/admin/backends/:id", {
    params: { id: Schema.String },
    success: States.Backend,
    error: Errors.Unknown,
  })
    .annotateMerge(says("One backend")),
  get("devices", "/admin/devices", { success: Schema.Struct({ devices: Schema.Array(States.Device) }) })
    .annotateMerge(says("The memory of every device, and the models that it is charged with")),
  get("models", "/admin/models", { success: Schema.Struct({ models: Schema.Array(States.CatalogModel) }) })
    .annotateMerge(says("The models that backends have on disk")),
  get("queues", "/admin/queues", { success: Schema.Struct({ queues: Schema.Array(States.Queue) }) })
    .annotateMerge(says("The queues that are not empty")),
  get("breakers", "/admin/breakers", { success: Schema.Struct({ breakers: Schema.Array(States.BreakerState) }) })
    .annotateMerge(says("The breaker of every backend, and those of models that are not closed")),
  get("streams", "/admin/streams", { success: Streams })
    .annotateMerge(says("The calls to backends that have not ended", "The 100 that began first, one by one.")),
  get("prewarm", "/admin/prewarm", {
    success: Schema.Struct({ prewarm: Schema.Array(Plans.Prewarm), plans: Schema.Array(Plans.Plan) }),
  }).annotateMerge(says("The models that plans want in memory, the state of each, and the plans with their times")),
  get("changes", "/admin/changes", {
    query: { limit: Schema.optionalKey(Schema.String) },
    success: Schema.Struct({ changes: Schema.Array(States.Change) }),
    error: Errors.BadCall,
  }).annotateMerge(says("What operators have changed, newest first", "The last 500. `limit` asks for fewer.")),
  get("events", "/admin/events", {
    success: HttpApiSchema.StreamSse({ data: Schema.Unknown }),
    error: Errors.TooMany,
  }).annotateMerge(says(
    "Server-sent events: the state, then what changes",
    "`snapshot` has the whole state. `change` has the parts that are different: whole backends and devices by id, the " +
      "ids of those that are gone, and whole lists. `event` is one event of the router. A comment comes at least every " +
      "15 seconds.",
  )),
).annotateMerge(says("", "Reads the router. Nothing here changes anything."))

const Decision = Schema.Record(Schema.String, Schema.Unknown).annotate({ identifier: "Decision" })
const ofId = { id: Schema.String }

const decisions = HttpApiGroup.make("decisions").add(
  get("decisions", "/admin/decisions", {
    query: { limit: Schema.optionalKey(Schema.String), id: Schema.optionalKey(Schema.String) },
    success: Schema.Unknown,
    error: [Errors.BadCall, Errors.Unknown],
  }).annotateMerge(says("The last requests, newest first", "`limit` defaults to 100. `id` asks for one request.")),
  get("decision", "/admin/decisions/:id", { params: ofId, success: Decision, error: Errors.Unknown })
    .annotateMerge(says("One request by its X-Request-Id")),
  get("why", "/admin/decisions/:id/why", {
    params: ofId,
    success: [
      Schema.Struct({ id: Schema.String, summary: Schema.String, sentences: Schema.Array(Schema.String) }),
      Schema.String.pipe(HttpApiSchema.asText()),
    ],
    error: Errors.Unknown,
  }).annotateMerge(says("Why a request went where it went, in words", "Plain text with `Accept: text/plain`.")),
).annotateMerge(says("", "The last requests, each with its placement, its attempts and how it ended."))

const changes = [Errors.BadCall, Errors.Unknown, Errors.NotNow] as const
const done = { params: ofId, success: States.Done, error: changes }
const ofModel = { ...done, payload: Schema.Struct({ model: Schema.NonEmptyString }) }

const backends = HttpApiGroup.make("backends").add(
  post("drain", "/admin/backends/:id/drain", done).annotateMerge(
    says("No new requests; running ones finish", "`streams` of the backend is 0 when it can be stopped."),
  ),
  post("undrain", "/admin/backends/:id/undrain", done).annotateMerge(says("Ends a drain or an isolation")),
  post("isolate", "/admin/backends/:id/isolate", done).annotateMerge(
    says("Holds the backend out of everything", "As a drain; and lists of models do not ask it."),
  ),
  post("load", "/admin/backends/:id/load", {
    ...done,
    error: [...changes, Errors.Failed],
    payload: Schema.Struct({
      model: Schema.NonEmptyString,
      /** Whether idle models may be unloaded for it. */
      evicts: Schema.optionalKey(Schema.Boolean),
      /** An explicit context, in tokens. */
      num_ctx: Schema.optionalKey(Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 2 ** 31 }))),
      /** Whether the answer waits for the end of the load. */
      wait: Schema.optionalKey(Schema.Boolean),
    }),
  }).annotateMerge(says("Loads a model", "Idle models may be unloaded for it, unless `evicts` is false.")),
  post("prewarm", "/admin/backends/:id/prewarm", ofModel).annotateMerge(
    says("Loads a model into free memory only", "Unloads nothing, and waits for no other load: else 409."),
  ),
  post("unload", "/admin/backends/:id/unload", ofModel).annotateMerge(says("Unloads a model that is idle")),
  post("pin", "/admin/backends/:id/pin", ofModel).annotateMerge(
    says("Keeps a model from being unloaded", "Whether it is in memory now or later. It ends with the process."),
  ),
  post("unpin", "/admin/backends/:id/unpin", ofModel).annotateMerge(says("Ends a pin of an operator")),
).annotateMerge(says("", "Changes backends, and the models in their memory."))

const Read = Schema.Struct({
  what: Schema.String,
  result: Schema.Literals(["changed", "unchanged", "read"]),
})

const Log = Schema.Struct({
  level: Schema.Literals(["All", "Trace", "Debug", "Info", "Warn", "Error", "Fatal", "None"]),
  /** The share of requests without an error that get a line, from 0 to 1. */
  sample: Schema.Number.check(Schema.isBetween({ minimum: 0, maximum: 1 })),
})

const router = HttpApiGroup.make("router").add(
  get("log", "/admin/log", { success: Log, error: Errors.NotNow }).annotateMerge(says("What the log has in it")),
  post("setLog", "/admin/log", {
    payload: Schema.Struct({
      level: Schema.optionalKey(Log.fields.level),
      sample: Schema.optionalKey(Log.fields.sample),
    }),
    success: Log,
    error: [Errors.BadCall, Errors.NotNow],
  }).annotateMerge(says("Changes the level and the sampling of the log", "Until the process ends.")),
  post("reload", "/admin/reload", {
    success: Schema.Struct({ reloaded: Schema.Array(Read) }),
    error: Errors.NotNow,
  }).annotateMerge(
    says(
      "Reads everything again now that is else read at intervals",
      "The fleet and the API keys, where they come from files or DNS; then health, catalog, devices and memory.",
    ),
  ),
).annotateMerge(says("", "Changes the router itself."))

/** @category apis @since 0.1.0 */
export const api = HttpApi.make("llamero-admin")
  .add(state, decisions, backends, router)
  .middleware(Readable)
  .middleware(Access)
  .annotateMerge(OpenApi.annotations({
    title: "llamero admin API",
    version: "0.1.0",
    description: "For operators. Every call needs `Authorization: Bearer` with the admin token. Errors have their " +
      "words in `error`. Each change is recorded: see `/admin/changes`.",
  }))
