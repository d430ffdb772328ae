import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import * as StaticFleet from "../../../../src/layers/fleet/StaticFleet.ts"
import * as UnmanagedVramLedger from "../../../../src/layers/memory/ledger/UnmanagedVramLedger.ts"
import * as NoPrewarmer from "../../../../src/layers/memory/prewarm/NoPrewarmer.ts"
import * as PlannedPrewarmer from "../../../../src/layers/memory/prewarm/PlannedPrewarmer.ts"
import * as AtStartPlan from "../../../../src/plugins/plans/AtStartPlan.ts"
import { Prewarmer } from "../../../../src/services/Prewarmer.ts"
import { elapse } from "../../../../src/testing/elapse.ts"
import * as MockBackendHealth from "../../../../src/testing/mocks/MockBackendHealth.ts"
import * as MockModelCatalog from "../../../../src/testing/mocks/MockModelCatalog.ts"
import * as MockResidency from "../../../../src/testing/mocks/MockResidency.ts"

const fleet = Layer.orDie(StaticFleet.layer([{ url: "http://a", id: "a" }, { url: "http://b", id: "b" }]))
const start = (models: ReadonlyArray<string>, known: ReadonlyArray<MockModelCatalog.ModelInput>) =>
  PlannedPrewarmer.layer({ plans: [AtStartPlan.make(models)] }).pipe(
    Layer.provideMerge(
      Layer.mergeAll(
        MockResidency.layer(),
        MockModelCatalog.layer(known),
        MockBackendHealth.layer(),
        fleet,
        UnmanagedVramLedger.layer,
      ),
    ),
  )
const both = (name: string) => ({ name, owners: ["a", "b"] })

it.effect("NoPrewarmer is always ready", () =>
  Effect.gen(function* () {
    const prewarmer = yield* Prewarmer
    assert.isTrue(prewarmer.ready())
    assert.deepStrictEqual(prewarmer.status(), [])
  }).pipe(Effect.provide(NoPrewarmer.layer)))

describe("PlannedPrewarmer with AtStartPlan", () => {
  it.effect("loads each model once, spread over the owners, and is ready when all are loaded", () =>
    Effect.gen(function* () {
      const prewarmer = yield* Prewarmer
      const { finish, running } = yield* MockResidency.MockLoads
      yield* elapse("1 millis")
      assert.deepStrictEqual(running().map(({ backend, model }) => `${backend} ${model}`).toSorted(), [
        "a m:latest",
        "b n:latest",
      ])
      assert.deepStrictEqual(prewarmer.status().map(({ state }) => state), ["loading", "loading"])
      finish("a", "m:latest")
      yield* elapse("1 seconds")
      assert.isFalse(prewarmer.ready())
      finish("b", "n:latest")
      yield* elapse("1 seconds")
      assert.isTrue(prewarmer.ready())
      assert.deepInclude(prewarmer.status()[1], {
        plan: "at-start",
        model: "n:latest",
        backend: "b",
        state: "resident",
        reason: "",
      })
    }).pipe(Effect.provide(start(["m", "N", "library/m"], [both("m"), both("n")]))))

  it.effect("waits for models and backends that are missing at the start", () =>
    Effect.gen(function* () {
      const prewarmer = yield* Prewarmer
      const models = yield* MockModelCatalog.MockModels
      const health = yield* MockBackendHealth.MockHealth
      const { finish, requests } = yield* MockResidency.MockLoads
      health.set("a", "unhealthy")
      yield* elapse("10 seconds")
      assert.deepInclude(prewarmer.status()[0], { state: "failed", reason: "no backend has it" })
      models.set([{ name: "m", owners: ["a"] }])
      yield* elapse("30 seconds")
      assert.deepInclude(prewarmer.status()[0], { state: "failed", reason: "no backend that has it is available" })
      assert.lengthOf(requests(), 0)
      health.set("a", "healthy")
      yield* elapse("30 seconds")
      assert.lengthOf(requests(), 1)
      finish("a", "m:latest")
      yield* elapse("1 seconds")
      assert.isTrue(prewarmer.ready())
    }).pipe(Effect.provide(start(["m"], []))))

  it.effect("loads on another owner after a failed load", () =>
    Effect.gen(function* () {
      const prewarmer = yield* Prewarmer
      const { finish, running } = yield* MockResidency.MockLoads
      yield* elapse("1 millis")
      finish("a", "m:latest", "out of memory")
      yield* elapse("1 seconds")
      assert.deepStrictEqual(running(), [{ backend: "b", model: "m:latest" }])
      finish("b", "m:latest")
      yield* elapse("1 seconds")
      assert.isTrue(prewarmer.ready())
    }).pipe(Effect.provide(start(["m"], [both("m")]))))

  it.effect("is ready at once without models to load, and with models that need no load", () =>
    Effect.gen(function* () {
      yield* elapse("1 millis")
      assert.isTrue((yield* Prewarmer).ready())
    }).pipe(Effect.provide(start(["r:cloud"], [both("r:cloud")]))))
})
