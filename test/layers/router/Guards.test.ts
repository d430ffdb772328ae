/** How the pipeline asks its guards. */
import { assert, describe, it } from "@effect/vitest"
import { Context, Deferred, Effect, Fiber, Layer, Metric } from "effect"
import { TestClock } from "effect/testing"
import * as PipelineRouter from "../../../src/layers/router/PipelineRouter.ts"
import type { Outcome } from "../../../src/services/Outcome.ts"
import type { Guard, GuardInput } from "../../../src/services/Plugin.ts"
import { TokenEstimator } from "../../../src/services/TokenEstimator.ts"
import * as SimulatedFleet from "../../../src/simulated/SimulatedFleet.ts"
import { ask, idle, nothing, over, url } from "../../support/routers.ts"
import { RecordingReply } from "../../support/sinks.ts"

const chat = { model: "tiny-eos", messages: [{ role: "user", content: "hi" }] }
const router = (...guards: ReadonlyArray<GuardInput>) => over({ a: {} }, { router: PipelineRouter.layer({ guards }) })
const finish = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.gen(function* () {
    yield* TestClock.adjust("1 second")
    const fiber = yield* Effect.forkChild(effect, { startImmediately: true })
    yield* TestClock.adjust("10 seconds")
    return yield* Fiber.join(fiber)
  })
const guard = (check: Guard["check"], options?: Partial<Guard>): Guard => ({
  kind: "guard",
  name: "g",
  check,
  ...options,
})
const dies = (): never => {
  throw new Error("a guard's own fault")
}
/** Passes, and records the outcomes of the requests that it let pass. */
const hears = (ends: Array<Outcome>): Guard =>
  guard((request) => ({ _tag: "Pass", request, settled: (outcome) => ends.push(outcome) }), { name: "hears" })

describe("guards", () => {
  it.effect("hear how many tokens a stream had that ended without its last record", () => {
    const ends: Array<Outcome> = []
    return Effect.gen(function* () {
      yield* TestClock.adjust("1 second")
      const { get } = yield* SimulatedFleet.SimulatedFleet
      get(url("a")).script(SimulatedFleet.Fault.truncate(20), { times: 1, path: "/api/chat" })
      yield* finish(ask("/api/chat", chat))
      assert.deepStrictEqual(ends.map(({ cause }) => cause), ["truncated"])
      assert.isAbove(ends[0]!.usage?.answerTokens ?? 0, 5)
    }).pipe(Effect.provide(router(hears(ends))))
  })

  for (const [how, check] of [["throws", dies], ["dies in an Effect", () => Effect.sync(dies)]] as const) {
    it.effect(`one that ${how} refuses with 500, and the client is not told why`, () => {
      const ends: Array<Outcome> = []
      return Effect.gen(function* () {
        const { reply, settled } = yield* finish(ask("/api/chat", chat))
        assert.strictEqual(settled.status, 500)
        assert.notInclude(JSON.stringify(reply.refusals), "own fault")
        assert.deepStrictEqual(ends.map(({ cause }) => cause), ["Internal"])
        assert.deepStrictEqual(yield* idle, nothing)
      }).pipe(Effect.provide(router(hears(ends), guard(check))))
    })

    it.effect(`one that ${how} and fails open lets the request pass, and the next guards are asked`, () => {
      const ends: Array<Outcome> = []
      return Effect.gen(function* () {
        const { settled } = yield* finish(ask("/api/chat", chat))
        assert.strictEqual(settled.status, 200)
        assert.deepStrictEqual(ends.map(({ kind }) => kind), ["success"])
      }).pipe(Effect.provide(router(guard(check, { fails: "open" }), hears(ends))))
    })
  }

  it.effect("one that fails open does not hide a defect that comes after it", () =>
    Effect.gen(function* () {
      const { settled } = yield* finish(ask("/api/chat", chat))
      assert.strictEqual(settled.status, 500)
    }).pipe(Effect.provide(
      router(guard((request) => ({ _tag: "Pass", request }), { fails: "open" }), guard(dies, { name: "closed" })),
    )))

  for (const [fails, status] of [["closed", 503], ["open", 200]] as const) {
    it.effect(`one that is late and fails ${fails}: ${status}; what it reserves afterwards is given back`, () => {
      const ends: Array<Outcome> = []
      const late = Deferred.makeUnsafe<void>()
      const slow = guard(
        (request) =>
          Effect.as(Deferred.await(late), { _tag: "Pass", request, settled: (outcome) => void ends.push(outcome) }),
        { fails, timeLimit: "2 seconds" },
      )
      return Effect.gen(function* () {
        yield* TestClock.adjust("1 second")
        const fiber = yield* Effect.forkChild(ask("/api/chat", chat), { startImmediately: true })
        yield* TestClock.adjust("1900 millis")
        assert.isUndefined(fiber.pollUnsafe())
        yield* TestClock.adjust("5 seconds")
        const { reply, settled } = yield* Fiber.join(fiber)
        assert.strictEqual(settled.status, status)
        if (status === 503) assert.isDefined(reply.refusals[0]?.retryAfter)
        assert.lengthOf(ends, 0)
        yield* Deferred.succeed(late, undefined)
        yield* Effect.yieldNow
        assert.deepStrictEqual(ends.map(({ cause }) => cause), ["client-gone"])
      }).pipe(Effect.provide(router(slow)))
    })
  }

  it.effect("when a client leaves while one is asked, what it reserved is given back once", () => {
    const ends: Array<Outcome> = []
    const gate = Deferred.makeUnsafe<void>()
    const slow = guard((request) =>
      Effect.as(Deferred.await(gate), { _tag: "Pass", request, settled: (outcome) => void ends.push(outcome) })
    )
    return Effect.gen(function* () {
      yield* TestClock.adjust("1 second")
      const fiber = yield* Effect.forkChild(ask("/api/chat", chat), { startImmediately: true })
      yield* Fiber.interrupt(fiber)
      assert.deepStrictEqual(yield* idle, nothing)
      yield* Deferred.succeed(gate, undefined)
      yield* Effect.yieldNow
      assert.lengthOf(ends, 1)
    }).pipe(Effect.provide(router(slow)))
  })

  it.effect("rewrites change the body in place, and the next guard sees them", () => {
    let seen = ""
    const renames = guard((request) => ({
      _tag: "Pass",
      request,
      rewrite: { model: "tiny-eos" },
      headers: ["X-A", "b"],
    }))
    const looks = guard((request) => {
      seen = `${request.envelope.model} ${new TextDecoder().decode(request.body)}`
      return { _tag: "Pass", request }
    })
    return Effect.gen(function* () {
      const reply = new RecordingReply()
      const { settled } = yield* finish(ask("/api/chat", `{"seed": 1, "model" : "other", "messages":[{}] }`, reply))
      assert.strictEqual(settled.status, 200)
      assert.strictEqual(seen, `tiny-eos {"seed": 1, "model" : "tiny-eos", "messages":[{}] }`)
      assert.deepStrictEqual(reply.annotations, ["X-A", "b", "X-Llamero-Model", "tiny-eos"])
    }).pipe(Effect.provide(router(renames, looks)))
  })

  it.effect("what a guard needs is in the router's type, and is given when the router is built", () => {
    class Secret extends Context.Service<Secret, { readonly word: string }>()("test/Secret") {}
    const needs: GuardInput<Secret> = Effect.map(
      Secret,
      ({ word }) => guard((request) => ({ _tag: "Pass", request, headers: ["X-Word", word] })),
    )
    const layer = PipelineRouter.layer({ guards: [needs] })
    // @ts-expect-error the router needs a Secret
    const _lacks: Layer.Layer<unknown, never, PipelineRouter.Needs> = layer
    return Effect.gen(function* () {
      const { reply } = yield* finish(ask("/api/chat", chat))
      assert.deepStrictEqual(reply.annotations.slice(0, 2), ["X-Word", "known"])
    }).pipe(
      Effect.provide(over({ a: {} }, { router: layer }).pipe(Layer.provide(Layer.succeed(Secret, { word: "known" })))),
    )
  })

  it.effect("a defect after the last guard does not count as the guard's failure", () =>
    Effect.gen(function* () {
      assert.strictEqual((yield* finish(ask("/api/chat", chat))).settled.status, 500)
      const counted = (yield* Metric.snapshot).flatMap(({ attributes, id, state }) =>
        id === "llamero_guard_verdicts_total" && "count" in state && Number(state.count) > 0
          ? [`${attributes?.["verdict"]} ${state.count}`]
          : []
      )
      assert.deepStrictEqual(counted, ["pass 1"])
    }).pipe(
      Effect.provide(
        over({ a: {} }, {
          router: PipelineRouter.layer({
            guards: [guard((request) => ({ _tag: "Pass", request }), { fails: "open" })],
          }),
          tokens: Layer.succeed(TokenEstimator, { estimate: dies, atLeast: () => 1, learn: () => {} }),
        }),
      ),
      Effect.provideService(Metric.MetricRegistry, new Map()),
    ))

  it.effect("verdicts and durations are counted by the guard's name", () =>
    Effect.gen(function* () {
      for (let i = 0; i < 3; i++) yield* finish(ask("/api/chat", chat))
      const snapshot = yield* Metric.snapshot
      const count = (verdict: string) =>
        snapshot.find(({ attributes, id }) =>
          id === "llamero_guard_verdicts_total" && attributes?.["guard"] === "g" && attributes["verdict"] === verdict
        )?.state
      assert.deepInclude(count("pass"), { count: 3 })
      assert.deepInclude(count("fail"), { count: 3 })
      assert.isUndefined(count("refuse"))
      const durations = snapshot.filter(({ id }) => id === "llamero_guard_duration_seconds")
      assert.isAbove(durations.length, 0)
    }).pipe(
      Effect.provide(
        router(guard((request) => ({ _tag: "Pass", request })), guard(dies, { name: "g", fails: "open" })),
      ),
      Effect.provideService(Metric.MetricRegistry, new Map()),
    ))
})
