/** Which placements are recorded, and what the records say, in a whole router in virtual time. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import * as MemoryLeases from "../../../src/layers/leases/MemoryLeases.ts"
import * as DecisionReplay from "../../../src/layers/placement/DecisionReplay.ts"
import * as PipelineRouter from "../../../src/layers/router/PipelineRouter.ts"
import * as StandardProfile from "../../../src/plugins/StandardProfile.ts"
import * as FailoverRetry from "../../../src/plugins/retry/FailoverRetry.ts"
import { Fleet } from "../../../src/services/Fleet.ts"
import type { Placed } from "../../../src/services/Placed.ts"
import { RouterEvents } from "../../../src/services/RouterEvents.ts"
import * as SimulatedFleet from "../../../src/simulated/SimulatedFleet.ts"
import { events } from "../../support/admin.ts"
import { ask, over, url } from "../../support/routers.ts"

const router = (placementsPerSecond: number) =>
  PipelineRouter.layer({ retry: FailoverRetry.make(), placementsPerSecond })
const stack = (servers: Readonly<Record<string, SimulatedFleet.ServerOptions>>, perSecond = 20) =>
  over(servers, { events, router: router(perSecond), leases: MemoryLeases.layerFixed })

const recorded = Effect.map(
  RouterEvents,
  (events) => events.recent(10_000).filter((event): event is Placed => event._tag === "Placed").toReversed(),
)
const chat = (prompt: string) => ask("/api/generate", { model: "tiny-eos", prompt })
const started = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.forkChild(effect, { startImmediately: true })

describe("recorded placements", () => {
  it.effect("a request that is placed at once: all candidates as they were before, and the one that was taken", () =>
    Effect.gen(function* () {
      yield* TestClock.adjust("6 seconds")
      yield* chat("warm")
      yield* TestClock.adjust("6 seconds")
      yield* chat("hot")
      const [, hot] = yield* recorded
      assert.strictEqual(hot!.answer, "lease")
      assert.strictEqual(hot!.attempt, 1)
      assert.deepStrictEqual(hot!.candidates.map(({ streams }) => streams), [0, 0], "its own lease does not count")
      const [best, other] = hot!.candidates
      assert.strictEqual(hot!.took, best!.backend.id)
      assert.deepStrictEqual([best!.residency, other!.residency], ["resident", "absent"])
      assert.isAbove(best!.total, other!.total)
      assert.isNotEmpty(Object.keys(best!.scores))
      const { waiting } = hot!.demand
      assert.isUndefined(waiting)
    }).pipe(Effect.provide(stack({ a: {}, b: {} }))))

  it.effect("replayed with the same profile, the decision is the same", () =>
    Effect.gen(function* () {
      yield* TestClock.adjust("6 seconds")
      yield* chat("warm")
      const all = yield* recorded
      for (const placed of all.filter(({ answer }) => answer === "lease")) {
        const settled = { settled: undefined as never, steps: [placed] }
        const [replayed] = DecisionReplay.replay(settled, StandardProfile.make())
        assert.strictEqual(replayed!.order[0], placed.took)
      }
      assert.isAbove(all.length, 0)
    }).pipe(Effect.provide(stack({ a: {}, b: {} }))))

  it.effect("a request that waits: its first question, and its end, and not what was asked between", () =>
    Effect.gen(function* () {
      yield* TestClock.adjust("6 seconds")
      const running = yield* started(chat("running"))
      yield* TestClock.adjust("10 millis")
      const waiting = yield* started(ask("/api/generate", { model: "tiny-eos", prompt: "waits" }))
      yield* TestClock.adjust("60 seconds")
      const id = (yield* Fiber.join(waiting)).settled
      assert.strictEqual(id.status, 200)
      yield* Fiber.join(running)
      const answers = (yield* recorded).map(({ answer, candidates }) => [answer, candidates[0]!.streamsOfModel])
      // The first request loads the model, and then gets its lease.
      assert.deepStrictEqual(answers, [["loading", 0], ["lease", 0], ["wait", 1], ["lease", 0]])
    }).pipe(Effect.provide(stack({ a: { decodeRate: 20 } }))))

  it.effect("a request that is refused, and why each backend was no candidate", () =>
    Effect.gen(function* () {
      yield* TestClock.adjust("6 seconds")
      const fleet = yield* Fleet
      yield* fleet.setState("a", "draining")
      yield* fleet.setState("b", "isolated")
      yield* chat("nobody")
      const [refused] = yield* recorded
      assert.strictEqual(refused!.answer, "refused")
      assert.match(refused!.refusal!, /no healthy backend has/)
      assert.deepStrictEqual(refused!.candidates.map(({ droppedBy, member }) => [droppedBy, member]), [
        ["healthy", "draining"],
        ["healthy", "isolated"],
      ])
    }).pipe(Effect.provide(stack({ a: {}, b: {} }))))

  it.effect("a second attempt, without the backend on which the first one failed", () =>
    Effect.gen(function* () {
      yield* TestClock.adjust("6 seconds")
      yield* chat("warm")
      const [first] = (yield* recorded).filter(({ answer }) => answer === "lease")
      const { get } = yield* SimulatedFleet.SimulatedFleet
      get(url(first!.took!)).script(SimulatedFleet.Fault.refuse, { path: "/api/generate" })
      const { settled } = yield* chat("again")
      assert.deepStrictEqual([settled.status, settled.attempts], [200, 2])
      const second = (yield* recorded).filter(({ answer, attempt }) => answer === "lease" && attempt === 2)
      assert.strictEqual(second.length, 1)
      assert.notStrictEqual(second[0]!.took, first!.took)
      assert.strictEqual(
        second[0]!.candidates.find(({ backend }) => backend.id === first!.took)?.droppedBy,
        "already-tried",
      )
    }).pipe(Effect.provide(stack({ a: {}, b: {} }))))

  it.effect("no more a second than the limit; half of it is kept for requests that wait, fail or are refused", () =>
    Effect.gen(function* () {
      yield* TestClock.adjust("6 seconds")
      yield* chat("warm")
      yield* TestClock.adjust("1 second")
      const before = (yield* recorded).length
      for (let i = 0; i < 50; i++) yield* chat(`${i}`)
      assert.strictEqual((yield* recorded).length - before, 5)
      yield* (yield* Fleet).setState("a", "draining")
      for (let i = 0; i < 50; i++) yield* chat(`${i}`)
      assert.strictEqual((yield* recorded).length - before, 10)
      yield* TestClock.adjust("1 second")
      yield* chat("next second")
      assert.strictEqual((yield* recorded).length - before, 11)
    }).pipe(Effect.provide(stack({ a: {} }, 10))))

  it.effect("none by default", () =>
    Effect.gen(function* () {
      yield* TestClock.adjust("6 seconds")
      yield* chat("hi")
      assert.deepStrictEqual(yield* recorded, [])
    }).pipe(Effect.provide(stack({ a: {} }, 0))))

  it.effect("of a large fleet the best 16 candidates, and how many more there were", () =>
    Effect.gen(function* () {
      yield* TestClock.adjust("6 seconds")
      yield* chat("hi")
      const [one] = yield* recorded
      assert.deepStrictEqual([one!.candidates.length, one!.others, one!.without], [16, 4, 1])
    }).pipe(Effect.provide(
      stack({
        ...Object.fromEntries(Array.from({ length: 20 }, (_, i) => [`n${i}`, {}])),
        without: { models: [SimulatedFleet.Model.tinyB] },
      }),
    )))
})
