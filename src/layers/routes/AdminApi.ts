/**
 * The admin API as a value: its paths, what they take and what they answer. `AdminRoutes` serves it, its OpenAPI
 * document is made from it, and Effect's `HttpApiClient` makes a typed client from it.
 *
 * @since 0.1.0
 */
import { Context } from "effect"
import * as HttpApi from "effect/http-api/HttpApi"
import type * as HttpApiGroup from "effect/http-api/HttpApiGroup"
import * as HttpApiMiddleware from "effect/http-api/HttpApiMiddleware"
import * as HttpApiSecurity from "effect/http-api/HttpApiSecurity"
import * as OpenApi from "effect/http-api/OpenApi"
import { backendCalls } from "./admin/backendCalls.ts"
import { decisionCalls } from "./admin/decisionCalls.ts"
import { BadCall, NoToken } from "./admin/errors.ts"
import { routerCalls } from "./admin/routerCalls.ts"
import { stateCalls } from "./admin/stateCalls.ts"

export { BadCall, Failed, NotNow, NoToken, TooMany, Unknown } from "./admin/errors.ts"
export type {
  BackendState,
  BreakerName,
  BreakerState,
  CatalogModel,
  Change,
  DeviceState,
  Done,
  QueueState,
  ResidentState,
  State,
} from "./admin/states.ts"
export type { PlanState, PrewarmState } from "./admin/planStates.ts"
export type { LatenciesState, LatencyState, StreamsState, StreamState, TrafficState } from "./admin/trafficStates.ts"

const key = "llamero/layers/routes/AdminApi/Operator"
const Base: Context.ServiceClass<Operator, typeof key, Service> = Context.Service<Operator, Service>()(key)

/**
 * Who calls: the name of the token, and the address. Changes are recorded under it.
 *
 * @category services
 * @since 0.1.0
 */
export class Operator extends Base {}

/** The members of `Operator`. @category services @since 0.1.0 */
export interface Service {
  readonly who: string
  readonly address: string | undefined
}

const accessId = "llamero/layers/routes/AdminApi/Access"
const AccessBase: HttpApiMiddleware.ServiceClass<Access, typeof accessId, {
  requires: never
  provides: Operator
  error: typeof NoToken
  clientError: never
  requiredForClient: false
  security: { readonly token: HttpApiSecurity.Http }
}> = HttpApiMiddleware.Service<Access, { provides: Operator }>()(accessId, {
  security: { token: HttpApiSecurity.bearer },
  error: NoToken,
})

/** Asks for the token. @category middleware @since 0.1.0 */
export class Access extends AccessBase {}

const readableId = "llamero/layers/routes/AdminApi/Readable"
const ReadableBase: HttpApiMiddleware.ServiceClass<Readable, typeof readableId, {
  requires: never
  provides: never
  error: typeof BadCall
  clientError: never
  requiredForClient: false
  security: never
}> = HttpApiMiddleware.Service<Readable>()(readableId, { error: BadCall })

/** Says in words what is wrong with a call that cannot be read. @category middleware @since 0.1.0 */
export class Readable extends ReadableBase {}

type Groups = typeof stateCalls | typeof decisionCalls | typeof backendCalls | typeof routerCalls

/** @category apis @since 0.1.0 */
export const api: HttpApi.HttpApi<
  "llamero-admin",
  HttpApiGroup.AddMiddleware<HttpApiGroup.AddMiddleware<Groups, Readable>, Access>
> = HttpApi.make("llamero-admin")
  .add(stateCalls, decisionCalls, backendCalls, routerCalls)
  .middleware(Readable)
  .middleware(Access)
  .annotateMerge(OpenApi.annotations({
    title: "llamero admin API",
    version: "0.1.0",
    description: "For operators. Every call needs `Authorization: Bearer` with the admin token. Errors have their " +
      "words in `error`. Each change is recorded: see `/admin/changes`.",
  }))
