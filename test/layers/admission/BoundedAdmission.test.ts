import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Layer } from "effect"
import { TestClock } from "effect/testing"
import * as BoundedAdmission from "../../../src/layers/admission/BoundedAdmission.ts"
import { Admission } from "../../../src/services/Admission.ts"
import { Leases } from "../../../src/services/Leases.ts"
import { contract, enter } from "../../../src/testing/contracts/Admission.ts"
import * as AdmissionQueues from "../../../src/testing/contracts/AdmissionQueues.ts"
import * as MockLeases from "../../../src/testing/mocks/MockLeases.ts"
import { holds } from "../../support/checks.ts"
import { demandFor, modelOn } from "../../support/demands.ts"

holds("Admission contract: bounded", contract(BoundedAdmission.layer({ queueCapacity: 4, queueMillis: 5000 })))
holds("Admission that queues: bounded", AdmissionQueues.contract(BoundedAdmission.layer))

describe("BoundedAdmission", () => {
  const over = (slots: number, options?: BoundedAdmission.Options) =>
    Layer.provideMerge(BoundedAdmission.layer(options), MockLeases.layer(slots))
  const park = (id: string, options?: Parameters<typeof enter>[2]) =>
    Effect.forkChild(Effect.flip(enter(id, Effect.void, options)), { startImmediately: true })

  it.effect("serves in order of arrival", () =>
    Effect.gen(function* () {
      const slots = yield* MockLeases.MockSlots
      const fibers = yield* Effect.forEach(
        ["a", "b", "c"],
        (id) => Effect.forkChild(enter(id), { startImmediately: true }),
      )
      slots.setFree(1)
      yield* Effect.forEach(fibers, Fiber.join)
      assert.deepStrictEqual(slots.granted, ["a", "b", "c"])
    }).pipe(Effect.provide(over(0))))

  it.effect("a newcomer does not overtake the queue", () =>
    Effect.gen(function* () {
      const slots = yield* MockLeases.MockSlots
      const first = yield* Effect.forkChild(enter("first"), { startImmediately: true })
      // A slot becomes free, but the commit of the waiting request does not take it yet.
      slots.answer("wait")
      slots.setFree(1)
      const late = yield* Effect.forkChild(enter("late"), { startImmediately: true })
      slots.answer(undefined)
      yield* Fiber.join(first)
      yield* Fiber.join(late)
      assert.deepStrictEqual(slots.granted, ["first", "late"])
    }).pipe(Effect.provide(over(0))))

  it.effect("sheds a request that does not fit, and says after how many seconds a retry may succeed", () =>
    Effect.gen(function* () {
      const admission = yield* Admission
      yield* park("a")
      yield* park("b")
      const error = yield* Effect.flip(enter("c"))
      assert.strictEqual(error.reason, "QueueFull")
      assert.strictEqual(error.status, 503)
      assert.isAtLeast(error.retryAfter!, 1)
      assert.strictEqual(admission.queues()[0]!.depth, 2)
    }).pipe(Effect.provide(over(0, { queueCapacity: 2 }))))

  it.effect("sheds by the bytes of all models together", () =>
    Effect.gen(function* () {
      yield* park("a", { bytes: 600 })
      const error = yield* Effect.flip(enter("b", Effect.void, { bytes: 600 }))
      assert.strictEqual(error.reason, "QueueFull")
    }).pipe(Effect.provide(over(0, { queueBytes: 1000 }))))

  it.effect("evicts a request at its deadline with 504, and never starts it", () =>
    Effect.gen(function* () {
      const slots = yield* MockLeases.MockSlots
      const fiber = yield* park("a")
      yield* TestClock.adjust(5100)
      const error = yield* Fiber.join(fiber)
      assert.strictEqual(error.status, 504)
      slots.setFree(1)
      assert.lengthOf(slots.granted, 0)
    }).pipe(Effect.provide(over(0, { queueMillis: 5000 }))))

  it.effect("a request's own deadline may be shorter than the limit, but not longer", () =>
    Effect.gen(function* () {
      const short = yield* park("short", { queueMillis: 1000 })
      const long = yield* park("long", { queueMillis: 60_000 })
      yield* TestClock.adjust(1100)
      assert.strictEqual((yield* Fiber.join(short)).status, 504)
      assert.isUndefined(long.pollUnsafe())
      yield* TestClock.adjust(4000)
      assert.strictEqual((yield* Fiber.join(long)).status, 504)
    }).pipe(Effect.provide(over(0, { queueMillis: 5000 }))))

  it.effect("the deadline does not run while a load is under way", () =>
    Effect.gen(function* () {
      const slots = yield* MockLeases.MockSlots
      slots.answer("loading")
      const fiber = yield* Effect.forkChild(enter("a"), { startImmediately: true })
      yield* TestClock.adjust(60_000)
      assert.isUndefined(fiber.pollUnsafe())
      slots.answer(undefined)
      slots.setFree(1)
      assert.strictEqual(yield* Fiber.join(fiber), "a")
    }).pipe(Effect.provide(over(0, { queueMillis: 5000 }))))

  it.effect("a retry keeps the deadline of its first wait", () =>
    Effect.gen(function* () {
      const retry = yield* park("again", { excluded: ["a"], deadline: 2000 })
      yield* TestClock.adjust(2100)
      assert.strictEqual((yield* Fiber.join(retry)).status, 504)
    }).pipe(Effect.provide(over(0, { queueMillis: 5000 }))))

  it.effect("tells the depth of the queue, the expected wait, and the place of a waiting request", () =>
    Effect.gen(function* () {
      const admission = yield* Admission
      const leases = yield* Leases
      const demand = demandFor(modelOn("m:latest", "mock"), { id: "b" })
      yield* park("a")
      yield* Effect.forkChild(admission.admit(demand, () => leases.commit([], demand), () => Effect.void), {
        startImmediately: true,
      })
      assert.strictEqual(demand.waiting?.place(0).position, 2)
      const error = yield* Effect.flip(enter("c"))
      assert.deepStrictEqual(error.queue, { depth: 2, waitMillis: 3000 })
      assert.strictEqual(error.retryAfter, 3)
    }).pipe(Effect.provide(over(0, { queueCapacity: 2 }))))

  it.effect("the lease of a request that is interrupted before it wakes up goes to the next request", () =>
    Effect.gen(function* () {
      const slots = yield* MockLeases.MockSlots
      const hold = yield* Deferred.make<void>()
      const first = yield* Effect.forkChild(enter("first", Deferred.await(hold)), { startImmediately: true })
      const second = yield* Effect.forkChild(enter("second"), { startImmediately: true })
      slots.setFree(1)
      first.interruptUnsafe()
      assert.strictEqual(yield* Fiber.join(second), "second")
      assert.strictEqual(slots.free(), 1)
    }).pipe(Effect.provide(over(0))))

  it.effect("a tenant whose requests wait for a load keeps its turn while others pass", () =>
    Effect.gen(function* () {
      const admission = yield* Admission
      const leases = yield* Leases
      const slots = yield* MockLeases.MockSlots
      let loading = false
      const ask = (id: string, tenant: string, numCtx?: number) => {
        const demand = demandFor(modelOn("m:latest", "mock"), { id, tenant, numCtx })
        const commit = () => loading && numCtx === undefined ? "loading" : leases.commit([], demand)
        return Effect.forkChild(admission.admit(demand, commit, () => Effect.never), { startImmediately: true })
      }
      for (let i = 0; i < 3; i++) yield* ask("early", "early")
      for (let i = 0; i < 3; i++) yield* ask("late", "late")
      for (let i = 0; i < 6; i++) {
        // One is admitted, the model is unloaded, and two requests for another context pass before it is back.
        loading = false
        slots.setFree(1)
        loading = true
        yield* ask("passes", "other", 4096)
        yield* ask("passes", "other", 4096)
        slots.setFree(2)
      }
      const turns = slots.granted.filter((id) => id !== "passes")
      assert.deepStrictEqual(turns, ["early", "late", "early", "late", "early", "late"])
      assert.lengthOf(slots.granted, 18)
    }).pipe(Effect.provide(over(0))))

  it.effect("a request that leaves while others are asked does not come back", () =>
    Effect.gen(function* () {
      const admission = yield* Admission
      const leases = yield* Leases
      const slots = yield* MockLeases.MockSlots
      const ask = (id: string, commit: () => "loading" | undefined, use: Effect.Effect<void>) => {
        const demand = demandFor(modelOn("m:latest", "mock"), { id, tenant: id })
        return Effect.forkChild(
          admission.admit(demand, () => commit() ?? leases.commit([], demand), () => use),
          { startImmediately: true },
        )
      }
      const first = yield* ask("first", () => "loading", Effect.void)
      yield* ask("second", () => undefined, Effect.sync(() => first.interruptUnsafe()))
      slots.setFree(1)
      yield* Effect.exit(Fiber.join(first))
      assert.deepStrictEqual(slots.granted, ["second"])
      assert.lengthOf(admission.queues(), 0)
    }).pipe(Effect.provide(over(0))))

  it.effect("the lease of a request that has left is given back", () =>
    Effect.gen(function* () {
      const admission = yield* Admission
      const leases = yield* Leases
      const slots = yield* MockLeases.MockSlots
      const ask = (id: string, commit: () => "loading" | undefined) => {
        const demand = demandFor(modelOn("m:latest", "mock"), { id, tenant: id })
        return Effect.forkChild(
          admission.admit(demand, () => commit() ?? leases.commit([], demand), () => Effect.void),
          { startImmediately: true },
        )
      }
      yield* ask("waits", () => "loading")
      const gone = yield* ask("gone", () => {
        Fiber.getCurrent()?.interruptUnsafe()
        return undefined
      })
      yield* Effect.exit(Fiber.join(gone))
      assert.deepStrictEqual(slots.granted, ["gone"])
      assert.strictEqual(leases.count(), 0)
    }).pipe(Effect.provide(over(1))))

  it.effect("Retry-After follows how fast the queue drains", () =>
    Effect.gen(function* () {
      const slots = yield* MockLeases.MockSlots
      for (let i = 0; i < 4; i++) yield* Effect.forkChild(enter(`${i}`, Effect.sleep(3000)), { startImmediately: true })
      slots.setFree(1)
      for (let i = 4; i < 10; i++) {
        yield* TestClock.adjust(3000)
        yield* Effect.forkChild(enter(`${i}`, Effect.sleep(3000)), { startImmediately: true })
      }
      yield* Effect.forkChild(enter("last"), { startImmediately: true })
      const error = yield* Effect.flip(enter("x"))
      // Three requests wait, and one is admitted every three seconds.
      assert.isAtLeast(error.retryAfter!, 7)
      assert.isAtMost(error.retryAfter!, 12)
    }).pipe(Effect.provide(over(0, { queueCapacity: 3 }))))

  it("throws a RangeError at an option that is out of range", () => {
    assert.throws(() => BoundedAdmission.layer({ queueCapacity: -1 }), RangeError)
    assert.throws(() => BoundedAdmission.layer({ queueMillis: 1.5 }), RangeError)
  })
})
