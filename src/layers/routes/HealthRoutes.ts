/**
 * Routes for orchestrators and load balancers: is the process alive, may it get traffic, how is each backend.
 *
 * @since 0.1.0
 */
import { Effect, type Layer } from "effect"
import { HttpRouter, HttpServerRequest, type HttpServerResponse } from "effect/http"
import { BackendHealth } from "../../services/BackendHealth.ts"
import { Breaker } from "../../services/Breaker.ts"
import { Fleet, type Member } from "../../services/Fleet.ts"
import { ModelCatalog } from "../../services/ModelCatalog.ts"
import { Prewarmer } from "../../services/Prewarmer.ts"
import { Residency } from "../../services/Residency.ts"
import { Router } from "../../services/Router.ts"
import { memberOf } from "../../support/memberOf.ts"
import { gauge, registered } from "./gauge.ts"
import * as Respond from "./respond.ts"

const answer = (ok: boolean, body: unknown): HttpServerResponse.HttpServerResponse =>
  Respond.json(JSON.stringify(body), ok ? 200 : 503)

const readyGauge = gauge("llamero_ready", "1 where `/readyz` answers 200, else 0")

/** The services that the routes read. @category models @since 0.1.0 */
export type Needs = BackendHealth | Breaker | Fleet | Prewarmer | Residency | Router

/** Of the required models, those that are on none of these backends. */
type Missing = (healthy: ReadonlyArray<Member>) => ReadonlyArray<string>

const makeMissing = (required: ReadonlyArray<string>): Effect.Effect<Missing, never, ModelCatalog> =>
  Effect.map(ModelCatalog, (catalog) => (healthy) =>
    required.filter((name) => {
      const owners = catalog.peek(name)?.owners
      return !healthy.some(({ backend }) => owners?.has(backend.id))
    }))

const routes = Effect.fnUntraced(function* (http: HttpRouter.HttpRouter, missing: Missing) {
  const breaker = yield* Breaker
  const fleet = yield* Fleet
  const health = yield* BackendHealth
  const prewarmer = yield* Prewarmer
  const residency = yield* Residency
  const router = yield* Router

  const healthy = ({ backend, state }: Member): boolean =>
    state === "active" && health.status(backend.id).state === "healthy"

  const describe = ({ backend, state }: Member) => {
    const status = health.status(backend.id)
    return {
      id: backend.id,
      member: state,
      health: status.state,
      reason: [status.reason, ...residency.spills(backend.id).map(({ model }) => `${model} spilled to the CPU`)]
        .filter((reason) => reason !== "").join("; "),
      // A backend that was never probed has no such moment.
      since: status.state === "unknown" ? null : new Date(status.since).toISOString(),
      version: status.version ?? null,
      breaker: breaker.state(backend.id),
    }
  }

  const reasons = (): ReadonlyArray<string> => {
    const found: Array<string> = []
    if (router.draining()) found.push("draining")
    const usable = fleet.members().filter(healthy)
    if (usable.length === 0) found.push("no healthy backend")
    found.push(...missing(usable).map((name) => `required: ${name} is on no healthy backend`))
    if (!prewarmer.ready()) {
      const waiting = prewarmer.status().filter(({ state }) => state !== "resident")
      found.push(...waiting.map(({ model, reason, state }) => `prewarm: ${model} ${state}${reason && `: ${reason}`}`))
      if (waiting.length === 0) found.push("prewarm: not ready")
    }
    return found
  }
  yield* registered(readyGauge, () => reasons().length === 0 ? 1 : 0)
  const ready = Effect.sync(() => {
    const why = reasons()
    return answer(why.length === 0, { ready: why.length === 0, reasons: why })
  })

  const whole = (): HttpServerResponse.HttpServerResponse => {
    const members = fleet.members()
    const count = members.filter(healthy).length
    const status = count === 0 ? "down" : count < members.length ? "degraded" : "ok"
    return answer(count > 0, { status, backends: members.map(describe) })
  }
  const one = (id: string): HttpServerResponse.HttpServerResponse => {
    const member = memberOf(fleet.members(), id)
    return member === undefined
      ? Respond.error(404, `no backend is called ${JSON.stringify(id)}`)
      : answer(healthy(member), describe(member))
  }
  const healthz = Effect.map(HttpServerRequest.ParsedSearchParams, ({ backend }) => {
    const id = Array.isArray(backend) ? backend[0] : backend
    return id === undefined ? whole() : one(id)
  })

  yield* http.addAll([
    ...Respond.on(["HEAD", "GET"], "/livez", Respond.json(`{"status":"ok"}`)),
    ...Respond.on(["HEAD", "GET"], "/readyz", ready),
    ...Respond.on(["HEAD", "GET"], "/healthz", healthz),
  ])
})

/**
 * `/livez`, `/readyz` and `/healthz`.
 *
 * **Details**
 *
 * - `/livez`: 200 while the process answers at all. It checks nothing else, because a restart of the router mends no
 *   backend.
 * - `/readyz`: 200 with `{"ready":true,"reasons":[]}`, or 503 with the reasons: draining, no healthy backend, models
 *   that are not loaded yet.
 * - `/healthz`: 200 with `ok` or with `degraded` (some backend is not healthy), 503 with `down` (none is), and the
 *   state of each backend. With `?backend=ID` the state of that one: 200 or 503; 404 for an id that no backend has.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<never, never, HttpRouter.HttpRouter | Needs> = HttpRouter.use((http) =>
  routes(http, () => [])
)

/**
 * As `layer`, but `/readyz` also requires each of these models, in any spelling, on the disk of some healthy backend.
 * Its reasons name the missing ones.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerRequiring = (
  models: ReadonlyArray<string>,
): Layer.Layer<never, never, HttpRouter.HttpRouter | Needs | ModelCatalog> =>
  HttpRouter.use((http) => Effect.flatMap(makeMissing(models), (missing) => routes(http, missing)))
