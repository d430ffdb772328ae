import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Schema } from "effect"
import { CircuitBreaker } from "effect/persistence"
import { TestClock } from "effect/testing"
import * as LocalBreaker from "../../../src/layers/breaker/LocalBreaker.ts"
import * as StaticFleet from "../../../src/layers/fleet/StaticFleet.ts"
import * as MemoryLeases from "../../../src/layers/leases/MemoryLeases.ts"
import * as OwnersPlacement from "../../../src/layers/placement/OwnersPlacement.ts"
import { Breaker } from "../../../src/services/Breaker.ts"
import { isLease, type Lease, Leases } from "../../../src/services/Leases.ts"
import { ModelCatalog } from "../../../src/services/ModelCatalog.ts"
import { type Outcome, success } from "../../../src/services/Outcome.ts"
import { Placement } from "../../../src/services/Placement.ts"
import { contract } from "../../../src/testing/contracts/Leases.ts"
import * as MockBackendHealth from "../../../src/testing/mocks/MockBackendHealth.ts"
import * as MockLeases from "../../../src/testing/mocks/MockLeases.ts"
import * as MockModelCatalog from "../../../src/testing/mocks/MockModelCatalog.ts"
import * as MockResidency from "../../../src/testing/mocks/MockResidency.ts"
import { holds } from "../../support/checks.ts"
import { demandFor, modelOn } from "../../support/demands.ts"

const backends = [
  { url: "http://a:1", id: "a", parallelism: 2, streamsMax: 3 },
  { url: "http://b:1", id: "b", parallelism: 2, streamsMax: 3 },
]
const failure: Outcome = { kind: "failure", cause: "refused" }

const stack = (resident: ReadonlyArray<readonly [string, string]>) =>
  MemoryLeases.layer.pipe(
    Layer.provideMerge(OwnersPlacement.layer),
    Layer.provideMerge(MockResidency.layer({ resident })),
    Layer.provideMerge(MockBackendHealth.layer({ a: "healthy", b: "healthy" })),
    Layer.provideMerge(MockModelCatalog.layer([{ name: "m", owners: ["a", "b"] }, { name: "n", owners: ["a"] }])),
    Layer.provideMerge(LocalBreaker.layer({ jitter: 0 })),
    Layer.provideMerge(CircuitBreaker.layerStoreMemory()),
    Layer.provideMerge(StaticFleet.layer(backends)),
  )

holds("Leases contract: mock", contract(MockLeases.layer(2), modelOn("m:latest", "mock")))
holds("Leases contract: memory", contract(stack([["a", "n:latest"]]), modelOn("n:latest", "a")))

const commit = (name: string, options?: Parameters<typeof demandFor>[1]) =>
  Effect.gen(function* () {
    const leases = yield* Leases
    const placement = yield* Placement
    const model = (yield* ModelCatalog).peek(name)!
    const demand = demandFor(model, options)
    return leases.commit(placement.rank(demand, leases.view), demand)
  })

describe("MemoryLeases", () => {
  it.effect("bounds the streams of a backend over all its models", () =>
    Effect.gen(function* () {
      for (const name of ["n", "n", "m"]) assert.isTrue(isLease(yield* commit(name)))
      // `a` is full with three, though each model has room for two.
      const spilled = yield* commit("m")
      assert.strictEqual(spilled, "wait")
    }).pipe(Effect.provide(stack([["a", "n:latest"], ["a", "m:latest"]]))))

  it.effect("starts one load where the model is nowhere, and holds no slot while it waits", () =>
    Effect.gen(function* () {
      const loads = yield* MockResidency.MockLoads
      const leases = yield* Leases
      assert.strictEqual(yield* commit("m"), "loading")
      assert.strictEqual(yield* commit("m"), "loading")
      assert.deepStrictEqual(loads.running(), [{ backend: "a", model: "m:latest" }])
      assert.strictEqual(leases.count(), 0)
      loads.finish("a", "m:latest")
      assert.isTrue(isLease(yield* commit("m")))
    }).pipe(Effect.provide(stack([]))))

  it.effect("tells those who wait when a load ends, health changes or a breaker moves", () =>
    Effect.gen(function* () {
      const leases = yield* Leases
      const loads = yield* MockResidency.MockLoads
      const health = yield* MockBackendHealth.MockHealth
      yield* commit("m")
      let told = 0
      leases.onFree(() => told++)
      loads.finish("a", "m:latest")
      const afterLoad = told
      assert.isAbove(afterLoad, 0)
      health.set("a", "unhealthy")
      assert.isAbove(told, afterLoad)
    }).pipe(Effect.provide(stack([]))))

  it.effect("loads on a second backend only when the wait has cost as much as the load would", () =>
    Effect.gen(function* () {
      const loads = yield* MockResidency.MockLoads
      yield* commit("m")
      yield* commit("m")
      assert.strictEqual(yield* commit("m"), "wait")
      assert.lengthOf(loads.running(), 0)
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(yield* commit("m", { since: 0 }), "wait")
      assert.deepStrictEqual(loads.running(), [{ backend: "b", model: "m:latest" }])
    }).pipe(Effect.provide(stack([["a", "m:latest"]]))))

  it.effect("tries the next backend when a load fails, and says what Ollama said when none is left", () =>
    Effect.gen(function* () {
      const loads = yield* MockResidency.MockLoads
      yield* commit("m")
      loads.finish("a", "m:latest", "cudaMalloc failed: out of memory")
      assert.strictEqual(yield* commit("m"), "loading")
      assert.deepStrictEqual(loads.running(), [{ backend: "b", model: "m:latest" }])
      loads.finish("b", "m:latest", "cudaMalloc failed: out of memory")
      const refusal = yield* commit("m")
      assert(typeof refusal === "object" && !isLease(refusal))
      assert.include(refusal.message, "out of memory")
    }).pipe(Effect.provide(stack([]))))

  it.effect("refuses with the breaker's own time when every owner is open, and waits while a trial runs", () =>
    Effect.gen(function* () {
      for (let i = 0; i < 5; i++) {
        const lease = yield* commit("n")
        assert(isLease(lease))
        lease.release(failure)
      }
      const refusal = yield* commit("n")
      assert(typeof refusal === "object" && !isLease(refusal))
      assert.strictEqual(refusal.retryAfter, 30)
      yield* TestClock.adjust("31 seconds")
      const trial = yield* commit("n")
      assert.isTrue(isLease(trial))
      assert.strictEqual(yield* commit("n"), "wait")
      if (isLease(trial)) trial.release(success)
      assert.isTrue(isLease(yield* commit("n")))
    }).pipe(Effect.provide(stack([["a", "n:latest"]]))))

  it.effect("an unload needs no residency", () =>
    Effect.gen(function* () {
      const loads = yield* MockResidency.MockLoads
      assert.isTrue(isLease(yield* commit("m", { loads: false })))
      assert.lengthOf(loads.running(), 0)
    }).pipe(Effect.provide(stack([]))))

  // Invariant 2: whatever happens, counts add up, limits hold, and an idle router holds nothing.
  it.effect.prop(
    "holds what it granted and nothing else, whatever the history",
    {
      steps: Schema.Array(Schema.Tuple([
        Schema.Literals([
          "m",
          "n",
          "ok",
          "fail",
          "busy",
          "twice",
          "time",
          "loaded",
          "load-failed",
          "gone",
          "sick",
          "well",
        ]),
        Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 20 })),
      ])),
    },
    ({ steps }) =>
      Effect.gen(function* () {
        const leases = yield* Leases
        const breaker = yield* Breaker
        const loads = yield* MockResidency.MockLoads
        const health = yield* MockBackendHealth.MockHealth
        const held: Array<Lease> = []
        for (const [step, n] of steps) {
          const id = n % 2 === 0 ? "a" : "b"
          const some = held.length > 0 ? n % held.length : -1
          if (step === "m" || step === "n") {
            const open = breaker.state(id, `${step}:latest`)
            const got = yield* commit(step)
            if (isLease(got)) held.push(got)
            // Invariant 6, seen from here: nothing is granted where the breaker is open.
            if (isLease(got) && got.backend.id === id) assert.notStrictEqual(open, "open")
          } else if (step === "time") yield* TestClock.adjust(n * 3000)
          else if (step === "loaded" || step === "load-failed") {
            for (const one of loads.running()) {
              loads.finish(one.backend, one.model, step === "loaded" ? undefined : "no")
            }
          } else if (step === "gone") loads.set(id, "m:latest", "absent")
          else if (step === "sick") health.set(id, "unhealthy")
          else if (step === "well") health.set(id, "healthy")
          else if (some >= 0) {
            const [lease] = held.splice(some, 1)
            const outcome: Outcome = step === "ok"
              ? success
              : step === "fail"
              ? failure
              : { kind: step === "busy" ? "saturated" : "ignored", cause: step }
            lease!.release(outcome)
            if (step === "twice") lease!.release(success)
          }
          assert.strictEqual(leases.count(), held.length)
          for (const view of leases.view.backends) {
            const here = held.filter((lease) => lease.backend.id === view.backend.id)
            assert.strictEqual(view.streams, here.length)
            assert.isAtMost(view.streams, 3)
            for (const model of (yield* ModelCatalog).models()) {
              assert.strictEqual(
                view.streamsOf(model),
                here.filter((lease) => lease.demand.model.key === model.key).length,
              )
              assert.isAtMost(view.streamsOf(model), 2)
            }
          }
        }
        for (const lease of held) lease.release(success)
        assert.strictEqual(leases.count(), 0)
      }).pipe(Effect.provide(stack([["a", "m:latest"], ["a", "n:latest"]]))),
    { arbitrary: { runs: 1000, size: 80, seed: "leases" } },
  )
})
