import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Layer } from "effect"
import { TestClock } from "effect/testing"
import * as ResidencyBase from "../../../../src/layers/memory/residency/ResidencyBase.ts"
import { backend } from "../../../../src/services/Fleet.ts"
import { Residency } from "../../../../src/services/Residency.ts"
import { ResidencyContract } from "../../../../src/testing/index.ts"
import * as MockModelCatalog from "../../../../src/testing/mocks/MockModelCatalog.ts"
import { holds } from "../../../support/checks.ts"
import { modelOn } from "../../../support/demands.ts"

const a = backend({ url: "http://a", id: "a" })
const m = modelOn("m:latest", "a")
const owners = ["a", "b"]
const catalog = MockModelCatalog.layer(["m", "n", "r:cloud"].map((name) => ({ name, owners })))

/** A server whose loads end when the test says so. */
const driven = () => {
  const loads = new Map<string, Deferred.Deferred<void, ResidencyBase.LoadFailure>>()
  const unloaded: Array<string> = []
  const layer = Layer.effect(
    Residency,
    ResidencyBase.make({
      load: (_, { key }) => {
        const end = Deferred.makeUnsafe<void, ResidencyBase.LoadFailure>()
        loads.set(key, end)
        return Deferred.await(end)
      },
      unload: (_, { key }) => Effect.sync(() => void unloaded.push(key)),
      retryMillis: 5000,
    }),
  )
  const end = (key: string, failure?: string) =>
    Effect.sync(() => {
      const load = loads.get(key)!
      const how = failure === undefined ? Effect.void : Effect.fail({ description: failure, status: 500 })
      Deferred.doneUnsafe(load, how)
    })
  return { layer, end, unloaded }
}

const { end, layer } = driven()
holds("ResidencyBase makes a Residency", ResidencyContract.contract(Layer.merge(layer, catalog), { end }))

describe("ResidencyBase", () => {
  it.effect("unloads a model that no request uses", () => {
    const { layer, unloaded } = driven()
    return Effect.gen(function* () {
      const residency = yield* Residency
      const pin = residency.hold("a", m)
      assert.isFalse(residency.unload(a, m))
      pin.release()
      pin.release()
      assert.isTrue(residency.unload(a, m))
      assert.strictEqual(residency.state("a", m), "absent")
      assert.deepStrictEqual(unloaded, ["m:latest"])
    }).pipe(Effect.provide(layer))
  })

  it.effect("tries a failed load again after a pause", () => {
    const { end, layer } = driven()
    return Effect.gen(function* () {
      const residency = yield* Residency
      residency.request(a, m)
      yield* end("m:latest", "no memory")
      yield* Effect.yieldNow
      assert.strictEqual(residency.failure("a", m)?.description, "no memory")
      yield* TestClock.adjust(5000)
      assert.isUndefined(residency.failure("a", m))
      residency.request(a, m)
      assert.strictEqual(residency.state("a", m), "loading")
    }).pipe(Effect.provide(layer))
  })

  it.effect("a listener that throws stops neither a load, nor a use, nor the other listeners", () => {
    const { end, layer } = driven()
    return Effect.gen(function* () {
      const residency = yield* Residency
      let heard = 0
      residency.onChange(() => {
        throw new Error("a listener is broken")
      })
      residency.onChange(() => heard++)
      const load = yield* Effect.forkChild(residency.load(a, m), { startImmediately: true })
      yield* end("m:latest")
      yield* Fiber.join(load)
      assert.strictEqual(residency.state("a", m), "resident")
      residency.hold("b", m).release()
      assert.strictEqual(heard, 3)
    }).pipe(Effect.provide(layer))
  })

  it.effect("a driver that dies has failed", () =>
    Effect.gen(function* () {
      const residency = yield* Residency
      const error = yield* Effect.flip(residency.load(a, m))
      assert.match(error.description, /boom/)
      assert.strictEqual(residency.state("a", m), "absent")
    }).pipe(Effect.provide(Layer.effect(
      Residency,
      ResidencyBase.make({
        load: () => {
          throw new Error("boom")
        },
        unload: () => Effect.void,
      }),
    ))))
})
