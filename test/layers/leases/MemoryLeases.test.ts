import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Exit, Layer, Schema } from "effect"
import { CircuitBreaker } from "effect/persistence"
import { TestClock } from "effect/testing"
import * as LocalBreaker from "../../../src/layers/breaker/LocalBreaker.ts"
import * as StaticFleet from "../../../src/layers/fleet/StaticFleet.ts"
import * as MemoryLeases from "../../../src/layers/leases/MemoryLeases.ts"
import * as OwnersPlacement from "../../../src/layers/placement/OwnersPlacement.ts"
import { BackendHealth } from "../../../src/services/BackendHealth.ts"
import { Breaker } from "../../../src/services/Breaker.ts"
import { isLease, type Lease, Leases } from "../../../src/services/Leases.ts"
import { ModelCatalog } from "../../../src/services/ModelCatalog.ts"
import { type Outcome, success } from "../../../src/services/Outcome.ts"
import { Placement } from "../../../src/services/Placement.ts"
import { Residency } from "../../../src/services/Residency.ts"
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

const healthy = MockBackendHealth.layer({ a: "healthy", b: "healthy" })

const stackOver = <A>(
  health: Layer.Layer<BackendHealth | A>,
  residency: Layer.Layer<Residency | MockResidency.MockLoads>,
) =>
  MemoryLeases.layer.pipe(
    Layer.provideMerge(OwnersPlacement.layer),
    Layer.provideMerge(residency),
    Layer.provideMerge(health),
    Layer.provideMerge(MockModelCatalog.layer([{ name: "m", owners: ["a", "b"] }, { name: "n", owners: ["a"] }])),
    Layer.provideMerge(LocalBreaker.layer({ jitter: 0 })),
    Layer.provideMerge(CircuitBreaker.layerStoreMemory()),
    Layer.provideMerge(StaticFleet.layer(backends)),
  )
const stack = (resident: ReadonlyArray<readonly [string, string]>) =>
  stackOver(healthy, MockResidency.layer({ resident }))

/** `n` is resident on `a`, and `hold` is what `change` makes of it. */
const residencyWith = (change: (hold: Residency["Service"]["hold"]) => Residency["Service"]["hold"]) =>
  Layer.effectContext(Effect.map(
    Layer.build(MockResidency.layer({ resident: [["a", "n:latest"]] })),
    (context) => {
      const residency = Context.get(context, Residency)
      return Context.add(context, Residency, { ...residency, hold: change(residency.hold) })
    },
  ))

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
      // `a` has three streams, its maximum, although each model may have two.
      const spilled = yield* commit("m")
      assert.strictEqual(spilled, "wait")
    }).pipe(Effect.provide(stack([["a", "n:latest"], ["a", "m:latest"]]))))

  it.effect("starts one load where no backend has the model in memory, and holds no slot while the request waits", () =>
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

  it.effect("calls onFree when a load ends, health changes or a breaker moves", () =>
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

  it.effect("loads on a second backend only after a wait as long as the load would take", () =>
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

  it.effect("loads on the next backend when a load fails, and refuses with Ollama's message when none is left", () =>
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

  it.effect("refuses with the breaker's time when the breaker of every owner is open, and waits while a trial runs", () =>
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

  it.effect("a request to unload needs no model in memory", () =>
    Effect.gen(function* () {
      const loads = yield* MockResidency.MockLoads
      assert.isTrue(isLease(yield* commit("m", { loads: false })))
      assert.lengthOf(loads.running(), 0)
    }).pipe(Effect.provide(stack([]))))

  it.effect("a release gives back slot, pin and waiters even when health throws", () => {
    let pins = 0
    const residency = residencyWith((hold) => (...args) => {
      const pin = hold(...args)
      pins++
      return {
        release: () => {
          pins--
          pin.release()
        },
      }
    })
    const health = Layer.succeed(BackendHealth, {
      status: () => ({ state: "healthy", reason: "", since: 0, version: undefined }),
      record: () => {
        throw new Error("health is broken")
      },
      check: Effect.void,
      onChange: () => () => {},
    })
    return Effect.gen(function* () {
      const leases = yield* Leases
      let freed = 0
      leases.onFree(() => void freed++)
      const lease = yield* commit("n")
      assert(isLease(lease))
      assert.strictEqual(pins, 1)
      assert.throws(() => lease.release(success), "health is broken")
      assert.deepStrictEqual([leases.count(), leases.view.backends[0]!.streams, pins], [0, 0, 0])
      assert.isAbove(freed, 0)
      lease.release(success)
      assert.strictEqual(leases.count(), 0)
    }).pipe(Effect.provide(stackOver(health, residency)))
  })

  it.effect("a residency that throws does not keep the trial of a half-open breaker", () => {
    let broken = false
    const residency = residencyWith((hold) => (...args) => {
      if (broken) throw new Error("no pin")
      return hold(...args)
    })
    return Effect.gen(function* () {
      const leases = yield* Leases
      for (let i = 0; i < 5; i++) {
        const lease = yield* commit("n")
        assert(isLease(lease))
        lease.release(failure)
      }
      yield* TestClock.adjust("30 seconds")
      assert.strictEqual((yield* Breaker).state("a"), "half-open")
      broken = true
      assert.isTrue(Exit.isFailure(yield* Effect.exit(commit("n"))))
      assert.strictEqual(leases.count(), 0)
      broken = false
      assert.isTrue(isLease(yield* commit("n")))
    }).pipe(Effect.provide(stackOver(healthy, residency)))
  })

  // Invariant 2: in any history the counts add up, the limits hold, and an idle router holds nothing.
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
            // Invariant 6: no lease is granted on a backend whose breaker is open.
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
