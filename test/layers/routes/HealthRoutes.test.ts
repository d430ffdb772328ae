import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Layer } from "effect"
import * as StaticFleet from "../../../src/layers/fleet/StaticFleet.ts"
import * as HealthRoutes from "../../../src/layers/routes/HealthRoutes.ts"
import { Breaker } from "../../../src/services/Breaker.ts"
import { Fleet } from "../../../src/services/Fleet.ts"
import { Prewarmer, type PrewarmStatus } from "../../../src/services/Prewarmer.ts"
import { refuse } from "../../../src/services/Refusal.ts"
import { Router } from "../../../src/services/Router.ts"
import * as MockBackendHealth from "../../../src/testing/mocks/MockBackendHealth.ts"
import * as MockModelCatalog from "../../../src/testing/mocks/MockModelCatalog.ts"
import * as MockResidency from "../../../src/testing/mocks/MockResidency.ts"
import * as MockRouter from "../../../src/testing/mocks/MockRouter.ts"
import { partly, serve } from "../../support/web.ts"

const setUpWith = Effect.fnUntraced(function* (required: ReadonlyArray<string> | undefined) {
  const plans: Array<PrewarmStatus> = []
  const services = yield* Layer.build(Layer.mergeAll(
    StaticFleet.layer([{ id: "a", url: "http://a:11434" }, { id: "b", url: "http://b:11434" }]),
    MockBackendHealth.layer({ a: "healthy", b: "healthy" }),
    MockRouter.layer(refuse("Internal", "not asked")),
    partly(Breaker, { state: () => "closed" }),
    Layer.succeed(Prewarmer, { ready: () => plans.every(({ state }) => state === "resident"), status: () => plans }),
  ))
  const ask = yield* serve(
    (required === undefined ? HealthRoutes.layer : HealthRoutes.layerRequiring(required)).pipe(
      Layer.provide(MockResidency.layer()),
      Layer.provide(
        MockModelCatalog.layer([{ name: "both:1b", owners: ["a", "b"] }, { name: "only:1b", owners: ["b"] }]),
      ),
      Layer.provide(Layer.succeedContext(services)),
    ),
  )
  return { ask, services, plans, health: Context.get(services, MockBackendHealth.MockHealth) }
})
const setUp = setUpWith(undefined)

describe("HealthRoutes", () => {
  it.live("is alive in any state of the fleet", () =>
    Effect.gen(function* () {
      const { ask, health } = yield* setUp
      health.set("a", "unhealthy", "refused")
      health.set("b", "unhealthy", "refused")
      assert.strictEqual((yield* ask("GET /livez")).status, 200)
      assert.strictEqual((yield* ask("HEAD /livez")).status, 200)
      assert.strictEqual((yield* ask("POST /livez")).status, 405)
    }))

  it.live("is ready with one healthy backend, prewarmed and not draining", () =>
    Effect.gen(function* () {
      const { ask, health, plans, services } = yield* setUp
      const ready = yield* ask("GET /readyz")
      assert.deepStrictEqual([ready.status, ready.body], [200, `{"ready":true,"reasons":[]}`])
      health.set("a", "unhealthy", "refused")
      assert.strictEqual((yield* ask("GET /readyz")).status, 200)
      health.set("b", "unhealthy", "refused")
      plans.push({ plan: "start", model: "m:1b", backend: undefined, state: "failed", reason: "out of memory" })
      yield* Context.get(services, Router).drain
      const not = yield* ask("GET /readyz")
      assert.strictEqual(not.status, 503)
      assert.deepStrictEqual(JSON.parse(not.body), {
        ready: false,
        reasons: ["draining", "no healthy backend", "prewarm: m:1b failed: out of memory"],
      })
    }))

  it.live("is ready only with the required models on the disk of a healthy backend, in any spelling", () =>
    Effect.gen(function* () {
      const { ask, health, services } = yield* setUpWith(["library/BOTH:1b", "only:1b"])
      assert.strictEqual((yield* ask("GET /readyz")).status, 200)
      yield* Context.get(services, Fleet).setState("b", "draining")
      const not = yield* ask("GET /readyz")
      assert.strictEqual(not.status, 503)
      assert.deepStrictEqual(JSON.parse(not.body).reasons, ["required: only:1b is on no healthy backend"])
      yield* Context.get(services, Fleet).setState("b", "active")
      health.set("b", "unhealthy", "refused")
      assert.deepStrictEqual(JSON.parse((yield* ask("GET /readyz")).body).reasons, [
        "required: only:1b is on no healthy backend",
      ])
      health.set("b", "healthy")
      assert.strictEqual((yield* ask("GET /readyz")).status, 200)
      const { ask: none } = yield* setUpWith(["never-pulled"])
      assert.deepStrictEqual(JSON.parse((yield* none("GET /readyz")).body).reasons, [
        "required: never-pulled is on no healthy backend",
      ])
    }))

  it.live("shows the health of each backend and of the fleet", () =>
    Effect.gen(function* () {
      const { ask, health, services } = yield* setUp
      const statusOf = (body: string): unknown => JSON.parse(body).status
      assert.strictEqual(statusOf((yield* ask("GET /healthz")).body), "ok")
      health.set("a", "unhealthy", "refused")
      const degraded = yield* ask("GET /healthz")
      assert.deepStrictEqual([degraded.status, statusOf(degraded.body)], [200, "degraded"])
      const a = yield* ask("GET /healthz?backend=a")
      assert.strictEqual(a.status, 503)
      assert.strictEqual(JSON.parse(a.body).reason, "refused")
      assert.strictEqual((yield* ask("GET /healthz?backend=b")).status, 200)
      assert.strictEqual((yield* ask("GET /healthz?backend=zzz")).status, 404)
      yield* Context.get(services, Fleet).setState("b", "draining")
      const down = yield* ask("GET /healthz")
      assert.deepStrictEqual([down.status, statusOf(down.body)], [503, "down"])
    }))
})
