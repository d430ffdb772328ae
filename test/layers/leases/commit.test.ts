import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { CircuitBreaker } from "effect/persistence"
import { TestClock } from "effect/testing"
import * as LocalBreaker from "../../../src/layers/breaker/LocalBreaker.ts"
import * as StaticFleet from "../../../src/layers/fleet/StaticFleet.ts"
import * as MemoryLeases from "../../../src/layers/leases/MemoryLeases.ts"
import * as OwnersPlacement from "../../../src/layers/placement/OwnersPlacement.ts"
import type { BackendInput } from "../../../src/services/Fleet.ts"
import { isLease, type Lease, Leases } from "../../../src/services/Leases.ts"
import { ModelCatalog } from "../../../src/services/ModelCatalog.ts"
import { success } from "../../../src/services/Outcome.ts"
import { Placement } from "../../../src/services/Placement.ts"
import { Residency } from "../../../src/services/Residency.ts"
import * as MockBackendHealth from "../../../src/testing/mocks/MockBackendHealth.ts"
import * as MockModelCatalog from "../../../src/testing/mocks/MockModelCatalog.ts"
import * as MockResidency from "../../../src/testing/mocks/MockResidency.ts"
import { demandFor } from "../../support/demands.ts"

const stack = (
  backends: ReadonlyArray<Exclude<BackendInput, string>>,
  resident: ReadonlyArray<readonly [string, string]>,
) =>
  MemoryLeases.layer.pipe(
    Layer.provideMerge(OwnersPlacement.layer),
    Layer.provideMerge(MockResidency.layer({ resident })),
    Layer.provideMerge(MockBackendHealth.layer({ a: "healthy", b: "healthy", c: "healthy" })),
    Layer.provideMerge(
      MockModelCatalog.layer(["m", "n"].map((name) => ({ name, owners: backends.map(({ id }) => id!) }))),
    ),
    Layer.provideMerge(LocalBreaker.layer()),
    Layer.provideMerge(CircuitBreaker.layerStoreMemory()),
    Layer.provideMerge(StaticFleet.layer(backends)),
  )

const commit = (name: string, waiting?: number) =>
  Effect.gen(function* () {
    const leases = yield* Leases
    const model = (yield* ModelCatalog).peek(name)!
    const since = yield* Effect.clockWith((clock) => clock.currentTimeMillis)
    const demand = demandFor(model, { since })
    return leases.commit((yield* Placement).rank(demand, leases.view), demand, waiting)
  })

const leased = (name: string) =>
  Effect.map(commit(name), (got) => {
    assert(isLease(got), String(got))
    return got
  })

/** A complete answer that takes `millis`. */
const served = (name: string, millis: number) =>
  Effect.gen(function* () {
    const lease = yield* leased(name)
    yield* TestClock.adjust(millis)
    lease.release({ ...success, firstByteMillis: 1 })
  })

const two = [{ url: "http://a:1", id: "a", parallelism: 2 }, { url: "http://b:1", id: "b", parallelism: 2 }]

describe("a busy backend with the model in memory and an idle one without it", () => {
  const full = Effect.gen(function* () {
    const loadMillis = (yield* Residency).loadMillis("b", (yield* ModelCatalog).peek("m")!)
    // Each of two streams takes as long as a load, so one ends in every half of that time.
    yield* served("m", loadMillis)
    yield* leased("m")
    yield* leased("m")
    return yield* MockResidency.MockLoads
  })

  it.effect("waits while the last request of the queue would be served before a load ends", () =>
    Effect.gen(function* () {
      const loads = yield* full
      for (const waiting of [undefined, 1, 2]) assert.strictEqual(yield* commit("m", waiting), "wait")
      assert.lengthOf(loads.running(), 0)
    }).pipe(Effect.provide(stack(two, [["a", "m:latest"]]))))

  it.effect("loads at once when the queue is longer, before any request has waited", () =>
    Effect.gen(function* () {
      const loads = yield* full
      assert.strictEqual(yield* commit("m", 3), "wait")
      assert.deepStrictEqual(loads.running(), [{ backend: "b", model: "m:latest" }])
      // One load at a time.
      assert.strictEqual(yield* commit("m", 100), "wait")
      assert.lengthOf(loads.running(), 1)
    }).pipe(Effect.provide(stack(two, [["a", "m:latest"]]))))

  it.effect("the slots of all backends that have the model count together", () =>
    Effect.gen(function* () {
      const loads = yield* full
      yield* served("m", (yield* Residency).loadMillis("b", (yield* ModelCatalog).peek("m")!))
      yield* leased("m")
      yield* leased("m")
      assert.strictEqual(yield* commit("m", 4), "wait")
      assert.lengthOf(loads.running(), 0)
      assert.strictEqual(yield* commit("m", 5), "wait")
      assert.deepStrictEqual(loads.running(), [{ backend: "c", model: "m:latest" }])
    }).pipe(
      Effect.provide(
        stack([...two, { url: "http://c:1", id: "c", parallelism: 2 }], [["a", "m:latest"], ["b", "m:latest"]]),
      ),
    ))

  it.effect("does not load on a backend that has streams of another model", () =>
    Effect.gen(function* () {
      const loads = yield* full
      yield* leased("n")
      assert.strictEqual(yield* commit("m", 100), "wait")
      assert.lengthOf(loads.running(), 0)
    }).pipe(Effect.provide(stack(two, [["a", "m:latest"], ["b", "n:latest"]]))))
})

describe("streams of one GPU", () => {
  const shared = ["a", "b"].map((id) => ({ url: `http://${id}:1`, id, parallelism: 6, devices: ["GPU-1"] }))
  const all = [["a", "m:latest"], ["b", "m:latest"], ["a", "n:latest"], ["b", "n:latest"]] as const

  it.effect("are at most eight over all backends and models that share it", () =>
    Effect.gen(function* () {
      const held: Array<Lease> = []
      for (const name of ["m", "n", "m", "n", "m", "n", "m", "n"]) held.push(yield* leased(name))
      for (const name of ["m", "n"]) assert.strictEqual(yield* commit(name), "wait")
      const { view } = yield* Leases
      assert.strictEqual(view.backends.reduce((sum, { streams }) => sum + streams, 0), 8)
      held.pop()!.release(success)
      held.push(yield* leased("m"))
      assert.strictEqual(yield* commit("m"), "wait")
    }).pipe(Effect.provide(stack(shared, all))))

  it.effect("have no common limit with other GPUs or with system memory", () =>
    Effect.gen(function* () {
      for (let i = 0; i < 12; i++) yield* leased("m")
    }).pipe(
      Effect.provide(stack(shared.map((one) => ({ ...one, devices: [`GPU-${one.id}`, "system:memory"] })), all)),
    ))

  it.effect("are given back once, with the lease", () =>
    Effect.gen(function* () {
      for (let round = 0; round < 3; round++) {
        const held: Array<Lease> = []
        for (let i = 0; i < 8; i++) held.push(yield* leased("m"))
        assert.strictEqual(yield* commit("m"), "wait")
        for (const lease of held) {
          lease.release(success)
          lease.release(success)
        }
      }
    }).pipe(Effect.provide(stack(shared, all))))
})
