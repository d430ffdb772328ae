import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import * as DecisionHistory from "../../../src/plugins/observers/DecisionHistory.ts"
import type { Decisions } from "../../../src/services/Decisions.ts"
import type { RouterEvent } from "../../../src/services/RouterEvents.ts"
import * as SimulatedFleet from "../../../src/simulated/SimulatedFleet.ts"
import { elapse } from "../../../src/testing/elapse.ts"
import { ask, over, url } from "../../support/routers.ts"

const failed = (id: string): RouterEvent => ({ _tag: "AttemptFailed", at: 0, id, backend: "a", cause: "refused" })
const settled = (id: string): RouterEvent => ({
  _tag: "RequestSettled",
  at: 0,
  id,
  route: "/api/chat",
  kind: "chat",
  model: "m:latest",
  known: true,
  tenant: "default",
  settled: {
    result: "answered",
    status: 200,
    refusal: undefined,
    outcome: undefined,
    backend: "b",
    attempts: 1,
    queuedMillis: 0,
  },
  totalMillis: 1,
  bytesIn: 1,
  bytesOut: 1,
})
const told = (size: number, ...events: ReadonlyArray<RouterEvent>) => {
  const history = DecisionHistory.make({ size })
  for (const event of events) history.observer.observe(event)
  return history
}
const ids = ({ recent }: Decisions, limit = 100) => recent(limit).map(({ settled }) => settled.id)

describe("DecisionHistory", () => {
  it("remembers the last requests, newest first", () => {
    const history = told(2, settled("1"), settled("2"), settled("3"))
    assert.deepStrictEqual(ids(history), ["3", "2"])
    assert.deepStrictEqual(ids(history, 1), ["3"])
    assert.deepStrictEqual(ids(history, 0), [])
    assert.isUndefined(history.find("1"))
    assert.strictEqual(history.find("2")?.settled.id, "2")
    assert.deepStrictEqual(ids(told(2)), [])
  })

  it("keeps the events of a request with that request", () => {
    const history = told(9, failed("1"), failed("2"), failed("1"), settled("2"), settled("1"), settled("1"))
    assert.deepStrictEqual(history.recent(9).map(({ steps }) => steps.length), [0, 2, 1])
  })

  it("forgets the events of the oldest request that never ends", () => {
    const history = told(2, failed("1"), failed("2"), failed("3"), settled("1"), settled("3"))
    assert.deepStrictEqual(history.recent(9).map(({ steps }) => steps.length), [1, 0])
  })

  it("keeps the beginning of a model's name that is very long", () => {
    const history = told(1, { ...settled("1"), model: "x".repeat(1_000_000), known: false } as RouterEvent)
    assert.strictEqual(history.recent(1)[0]?.settled.model, "x".repeat(200))
  })

  it("rejects a size that is not a whole number of at least 1", () => {
    for (const size of [0, -1, 1.5, NaN]) assert.throws(() => DecisionHistory.make({ size }), RangeError)
  })

  it.effect("shows the attempts of a request", () =>
    Effect.gen(function* () {
      const history = DecisionHistory.make()
      const router = over({ a: {}, b: {} }, { observers: [history.observer] })
      yield* Effect.gen(function* () {
        const { get } = yield* SimulatedFleet.SimulatedFleet
        yield* elapse("1 second")
        const call = () => ask("/api/generate", { model: "tiny-eos", prompt: "hi", stream: false })
        yield* call()
        yield* elapse("1 second")
        const first = history.recent(1)[0]!.settled.settled.backend!
        get(url(first)).script(SimulatedFleet.Fault.refuse, { path: "/api/generate", times: 1 })
        const again = yield* Effect.forkChild(call())
        yield* elapse("1 minute")
        yield* Fiber.join(again)
      }).pipe(Effect.provide(router))
      const [decision, warm] = history.recent(2)
      assert.deepStrictEqual(decision?.steps.map(({ _tag }) => _tag), ["AttemptFailed"])
      assert.deepInclude(decision?.settled.settled, { attempts: 2, status: 200 })
      assert.deepStrictEqual(warm?.steps, [])
    }))
})
