/** The calls to backends that have not ended, as operators see them. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import * as MemoryCoalescer from "../../../src/layers/coalescing/MemoryCoalescer.ts"
import * as MemoryLeases from "../../../src/layers/leases/MemoryLeases.ts"
import * as PipelineRouter from "../../../src/layers/router/PipelineRouter.ts"
import { Run } from "../../../src/layers/router/requestState.ts"
import * as UnderWay from "../../../src/layers/router/underWay.ts"
import * as FailoverRetry from "../../../src/plugins/retry/FailoverRetry.ts"
import { backend } from "../../../src/services/Fleet.ts"
import { type AllUnderWay, Router } from "../../../src/services/Router.ts"
import * as SimulatedFleet from "../../../src/simulated/SimulatedFleet.ts"
import { Bag } from "../../../src/support/bag.ts"
import { demandFor, modelOn } from "../../support/demands.ts"
import { ask, over, request } from "../../support/routers.ts"
import { RecordingReply } from "../../support/sinks.ts"

const generate = (prompt: string, more: object = {}) =>
  Effect.forkChild(ask("/api/generate", { model: "tiny-loop", prompt, ...more }), { startImmediately: true })
const now = (limit = 100): Effect.Effect<AllUnderWay, never, Router> =>
  Effect.map(Router, (router) => router.underWay!(limit))

describe("the calls under way", () => {
  it.effect("have backend, times and bytes; a request that waits is not among them; at the end there are none", () =>
    Effect.gen(function* () {
      yield* TestClock.adjust("6 seconds")
      assert.deepStrictEqual(yield* now(), { count: 0, oldest: [] })
      const first = yield* generate("one")
      const second = yield* generate("two")
      yield* TestClock.adjust("100 millis")
      const { count, oldest: [early] } = yield* now()
      assert.strictEqual(count, 1, "the second waits for the slot")
      assert.deepInclude(early, { route: "/api/generate", model: "tiny-loop:latest", tenant: "default", backend: "a" })
      assert.strictEqual(early!.receivedAt, 6000)
      yield* TestClock.adjust("10 seconds")
      const { oldest: [later] } = yield* now()
      assert.strictEqual(later!.id, early!.id)
      assert.isAtLeast(later!.firstByteAt!, later!.leasedAt)
      assert.isBelow(later!.firstByteAt!, 16_100)
      const { bytes } = later!
      assert.isAbove(bytes, 0)
      yield* TestClock.adjust("10 seconds")
      assert.isAbove((yield* now()).oldest[0]!.bytes, bytes)
      assert.strictEqual((yield* now()).oldest[0]!.firstByteAt, later!.firstByteAt)
      yield* Fiber.interrupt(first)
      yield* TestClock.adjust("1 second")
      const { oldest: [next] } = yield* now()
      assert.notStrictEqual(next!.id, early!.id)
      yield* Fiber.interrupt(second)
      assert.deepStrictEqual(yield* now(), { count: 0, oldest: [] })
    }).pipe(Effect.provide(over({ a: { decodeRate: 5 } }, { leases: MemoryLeases.layerFixed }))))

  it.effect("has no first byte before it comes, and the backend of the second attempt after the first failed", () =>
    Effect.gen(function* () {
      yield* TestClock.adjust("6 seconds")
      const { get } = yield* SimulatedFleet.SimulatedFleet
      for (const id of ["a", "b"]) {
        get(`http://${id}:11434`).script(SimulatedFleet.Fault.failure(500, "broken"), { path: "/api/generate" })
      }
      const fiber = yield* generate("again")
      let seen: AllUnderWay = { count: 0, oldest: [] }
      for (let i = 0; i < 400 && seen.oldest[0]?.firstByteAt === undefined; i++) {
        if (seen.oldest[0] !== undefined) assert.strictEqual(seen.oldest[0].bytes, 0)
        yield* TestClock.adjust("50 millis")
        seen = yield* now()
      }
      const [one] = seen.oldest
      assert.strictEqual(one!.backend, "c")
      assert.isAtLeast(one!.firstByteAt!, one!.leasedAt)
      yield* Fiber.interrupt(fiber)
    }).pipe(Effect.provide(
      over({ a: { decodeRate: 5 }, b: { decodeRate: 5 }, c: { decodeRate: 5 } }, {
        router: PipelineRouter.layer({ retry: FailoverRetry.make({ attemptsMax: 3 }) }),
      }),
    )))

  it.effect("count a call once that two clients share", () =>
    Effect.gen(function* () {
      yield* TestClock.adjust("6 seconds")
      const fibers = [
        yield* generate("same", { options: { seed: 1 } }),
        yield* generate("same", { options: { seed: 1 } }),
      ]
      yield* TestClock.adjust("10 seconds")
      const { count, oldest: [one] } = yield* now()
      assert.strictEqual((yield* Router).active(), 2)
      assert.strictEqual(count, 1)
      assert.deepInclude(one, { model: "tiny-loop:latest", backend: "a" })
      assert.isAbove(one!.bytes, 0)
      assert.isDefined(one!.firstByteAt)
      for (const fiber of fibers) yield* Fiber.interrupt(fiber)
    }).pipe(Effect.provide(over({ a: { decodeRate: 5, parallelism: 4 } }, { coalescer: MemoryCoalescer.layer() }))))
})

describe("the oldest calls", () => {
  const run = (leasedAt: number): Run => {
    const made = new Run(request("/api/generate", { model: "m", prompt: "" }, leasedAt), new RecordingReply())
    made.leasedAt = leasedAt
    made.backend = backend({ url: "http://a:11434", id: "a" }).id
    made.demand = demandFor(modelOn("m:latest", "a"))
    return made
  }
  const times = (leased: ReadonlyArray<number>, limit: number) => {
    const bags = [new Bag<Run>(), new Bag<Run>()]
    leased.forEach((at, i) => bags[i % 2]!.add(run(at)))
    const { count, oldest } = UnderWay.make(bags)(limit)
    return [count, oldest.map(({ leasedAt }) => leasedAt)]
  }

  it("are those that got their lease first, in order, whatever the order in the bags", () => {
    assert.deepStrictEqual(times([5, 3, 9, 1, 7], 3), [5, [1, 3, 5]])
    assert.deepStrictEqual(times([9, 8, 7, 6, 5, 4], 2), [6, [4, 5]])
    assert.deepStrictEqual(times([1, 2, 3, 4], 4), [4, [1, 2, 3, 4]])
    assert.deepStrictEqual(times([4, 2], 10), [2, [2, 4]])
    assert.deepStrictEqual(times([2, 1], 0), [2, []])
    assert.deepStrictEqual(times([], 3), [0, []])
  })

  it("are the same as after a sort, for many", () => {
    const many = Array.from({ length: 2000 }, (_, i) => (i * 7919) % 2003)
    assert.deepStrictEqual(times(many, 100)[1], many.toSorted((a, b) => a - b).slice(0, 100))
  })

  it("leave out what has no lease: what waits, what failed, and what shares a call", () => {
    const bag = new Bag<Run>()
    const [well, failed, shares, waits] = [run(1), run(2), run(3), run(4)]
    for (const one of [well, failed, shares, waits]) bag.add(one)
    failed.outcome = { kind: "failure", cause: "reset" }
    shares.leasedAt = undefined
    waits.demand!.waiting = { loading: false, place: () => ({ position: 1, waitMillis: 0 }) }
    const { count, oldest } = UnderWay.make([bag])(10)
    assert.deepStrictEqual([count, oldest.map(({ leasedAt }) => leasedAt)], [1, [1]])
  })
})
