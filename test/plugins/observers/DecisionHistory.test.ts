import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import * as DecisionHistory from "../../../src/plugins/observers/DecisionHistory.ts"
import type { Decisions } from "../../../src/services/Decisions.ts"
import { refuse } from "../../../src/services/Refusal.ts"
import type { RequestSettled, RouterEvent } from "../../../src/services/RouterEvents.ts"
import type { Trace } from "../../../src/services/Trace.ts"
import * as SimulatedFleet from "../../../src/simulated/SimulatedFleet.ts"
import { elapse } from "../../../src/testing/elapse.ts"
import { ask, over, url } from "../../support/routers.ts"

const failed = (id: string): RouterEvent => ({ _tag: "AttemptFailed", at: 0, id, backend: "a", cause: "refused" })
const settled = (id: string): RequestSettled => ({
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

  it("gives back every field as it was, apart from the traces, which hold headers", () => {
    const trace = { traceId: "t" } as Trace
    const full: Required<RequestSettled> = {
      ...settled("full"),
      ...{ at: 1_780_000_000_123, route: "/v1/embeddings", kind: "embed", asked: "M", known: false, tenant: "t" },
      settled: {
        ...{ result: "refused", status: 504, refusal: refuse("DeadlineExceeded", "late"), backend: "b", attempts: 3 },
        ...{ queuedMillis: 0.5, coalesced: "batch", call: trace },
        outcome: {
          ...{ kind: "failure", cause: "reset", firstByteMillis: 1, totalMillis: 2, longestGapMillis: 3 },
          usage: { promptTokens: 4, answerTokens: 5, slotWaitMillis: 6 },
        },
      },
      ...{ totalMillis: 12.5, bytesIn: 7, bytesOut: 8, rewrote: ["num_ctx"], cold: true, keyed: true },
      ...{ arrivedAt: 9, receivedAt: 10, askedAt: 11, loadingAt: 12, leasedAt: 13, firstByteAt: 14 },
      ...{ trace, routingMillis: 15, cost: 16 },
    }
    const { settled: { outcome } } = full
    const zeros: RequestSettled = {
      ...full,
      settled: {
        ...full.settled,
        outcome: { ...outcome!, firstByteMillis: 0, usage: { promptTokens: 0, answerTokens: 0, slotWaitMillis: 0 } },
      },
      ...{ at: 0, totalMillis: 0, askedAt: 0, cost: 0, cold: false, keyed: false },
    }
    const few: RequestSettled = {
      ...full,
      settled: {
        ...full.settled,
        outcome: { ...outcome!, usage: { promptTokens: 1, answerTokens: undefined, slotWaitMillis: undefined } },
      },
      ...{ asked: undefined, cost: undefined, firstByteAt: undefined },
    }
    // The same place is used for all of them, so that what one leaves is seen in the next one.
    const history = DecisionHistory.make({ size: 1 })
    for (const event of [full, zeros, few, full, settled("bare"), few]) {
      history.observer.observe(event)
      const kept = { ...event, trace: undefined, settled: { ...event.settled, call: undefined } }
      // As JSON, in which a field that is undefined is absent.
      assert.deepStrictEqual(
        JSON.parse(JSON.stringify(history.recent(1)[0]!.settled)),
        JSON.parse(JSON.stringify(kept)),
      )
    }
  })

  it("does not change a decision that was read", () => {
    const history = told(1, failed("1"), settled("1"))
    const [read] = history.recent(1)
    history.observer.observe({ ...settled("2"), model: "other" })
    assert.deepStrictEqual([read!.settled.id, read!.settled.model, read!.steps.length], ["1", "m:latest", 1])
    assert.deepStrictEqual(history.recent(9).map(({ settled, steps }) => [settled.id, steps.length]), [["2", 0]])
  })

  it("finds the newest request of an id, and none that was never there", () => {
    const history = told(3, settled("1"), { ...settled("1"), totalMillis: 7 } as RouterEvent, settled("2"))
    assert.strictEqual(history.find("1")?.settled.totalMillis, 7)
    assert.isUndefined(history.find(""), "an empty place is no request")
    assert.lengthOf(told(3, settled("1")).recent(9) as never, 1)
  })

  it("remembers nothing of a request that a server has refused", () => {
    const history = told(1, failed("1"), {
      ...{ _tag: "RequestRefused", at: 0, arrivedAt: 0, id: "2", method: "POST", path: "/api/chat" },
      ...{ route: "/api/chat", status: 400, reason: "BadRequest" },
    } as RouterEvent, settled("1"))
    assert.deepStrictEqual(history.recent(9).map(({ steps }) => steps.length), [1])
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
