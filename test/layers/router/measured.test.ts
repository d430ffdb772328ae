/** What is measured of a request on its way, in virtual time. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Layer, Metric } from "effect"
import { TestClock } from "effect/testing"
import { PinnedPlan } from "../../../src/index.ts"
import * as MemoryLeases from "../../../src/layers/leases/MemoryLeases.ts"
import * as FailoverRetry from "../../../src/plugins/retry/FailoverRetry.ts"
import type { Guard } from "../../../src/services/Plugin.ts"
import { Prewarmer } from "../../../src/services/Prewarmer.ts"
import { Router } from "../../../src/services/Router.ts"
import { type RequestSettled, RouterEvents } from "../../../src/services/RouterEvents.ts"
import { VramLedger } from "../../../src/services/VramLedger.ts"
import * as SimulatedFleet from "../../../src/simulated/SimulatedFleet.ts"
import { overManaged } from "../../support/managed.ts"
import { ask, over } from "../../support/routers.ts"

const { llama31, mistral } = SimulatedFleet.Model
const chat = (prompt = "hi", more: object = {}) => ({
  model: "tiny-eos",
  messages: [{ role: "user", content: prompt }],
  ...more,
})
const settle = <A, E, R>(calls: ReadonlyArray<Effect.Effect<A, E, R>>, time = "20 seconds") =>
  Effect.gen(function* () {
    const fibers = yield* Effect.forEach(calls, (call) => Effect.forkChild(call, { startImmediately: true }))
    yield* TestClock.adjust(time as "20 seconds")
    return yield* Effect.forEach(fibers, (fiber) => Fiber.join(fiber))
  })
const settled = Effect.map(
  RouterEvents,
  (events) =>
    events.recent(1000).filter((event): event is RequestSettled => event._tag === "RequestSettled").toReversed(),
)
const slow = (millis: number): Guard => ({
  kind: "guard",
  name: "slow",
  check: (request) => Effect.as(Effect.sleep(millis), { _tag: "Pass", request } as const),
})
const registry = Layer.succeed(Metric.MetricRegistry, new Map())
const count = (name: string, labels: Readonly<Record<string, string>>) =>
  Effect.map(Metric.snapshot, (all) => {
    const one = all.find(({ attributes = {}, id }) =>
      id === name && Object.entries(labels).every(([label, value]) => attributes[label] === value)
    )
    return one?.type === "Counter" ? Number(one.state.count) : one?.type === "Histogram" ? one.state.count : undefined
  })

describe("what the router itself adds", () => {
  it.effect("is nothing for a request that waits for a load and for its backend", () =>
    Effect.gen(function* () {
      yield* TestClock.adjust("1 second")
      yield* settle([ask("/api/chat", chat())])
      const [one] = yield* settled
      assert.isTrue(one?.cold)
      assert.isAbove(one!.settled.queuedMillis, 500)
      assert.isAbove(one!.totalMillis, one!.settled.queuedMillis)
      assert.strictEqual(one?.routingMillis, 0)
    }).pipe(Effect.provide(over({ a: { loadBandwidth: 1e6, overhead: "1 second" } }))))

  it.effect("is the time of a guard, also with a wait for a slot", () =>
    Effect.gen(function* () {
      yield* TestClock.adjust("1 second")
      // The first one of 16 is measured: the one that waits is the 17th.
      yield* settle([ask("/api/chat", chat())])
      for (let i = 1; i < 15; i++) yield* settle([ask("/api/chat", chat(`${i}`))])
      const both = [ask("/api/chat", chat("a")), ask("/api/chat", chat("b"))]
      yield* settle(both)
      const all = yield* settled
      assert.deepStrictEqual(all.flatMap(({ routingMillis }) => routingMillis ?? []), [250, 250])
      const last = all.at(-1)!
      assert.strictEqual(last.routingMillis, 250)
      assert.isAbove(last.settled.queuedMillis, 300)
    }).pipe(Effect.provide(over({ a: { decodeRate: 20 } }, { guards: [slow(250)], leases: MemoryLeases.layerFixed }))))

  it.effect("is not measured of a request that is tried again, shared or refused", () =>
    Effect.gen(function* () {
      yield* TestClock.adjust("1 second")
      const { get } = yield* SimulatedFleet.SimulatedFleet
      get("http://a:11434").script(SimulatedFleet.Fault.refuse, { path: "/api/chat" })
      yield* settle([ask("/api/chat", chat())])
      const [one] = yield* settled
      assert.isUndefined(one?.routingMillis)
    }).pipe(Effect.provide(over({ a: {}, b: {} }))))
})

describe("the longest gap", () => {
  it.effect("of a stream is the time of the slowest token, and a short answer has none", () =>
    Effect.gen(function* () {
      yield* TestClock.adjust("1 second")
      yield* settle([ask("/api/chat", chat())])
      yield* settle([ask("/api/chat", chat("x", { stream: false }))])
      const [stream, whole] = yield* settled
      assert.isAtLeast(stream!.settled.outcome!.longestGapMillis!, 100)
      assert.isBelow(stream!.settled.outcome!.longestGapMillis!, 300)
      assert.isUndefined(whole!.settled.outcome!.longestGapMillis)
    }).pipe(Effect.provide(over({ a: { decodeRate: 10 } }))))
})

describe("what a request costs", () => {
  const priced = (price: number | undefined) =>
    over({ a: { decodeRate: 20, parallelism: 2 } }, {}, { price, parallelism: 2 })

  it.effect("is the price of the time that its backend worked for it, alone", () =>
    Effect.gen(function* () {
      yield* TestClock.adjust("1 second")
      yield* settle([ask("/api/chat", chat())])
      const [one] = yield* settled
      assert.closeTo(one!.cost!, (one!.totalMillis - one!.settled.queuedMillis) / 1000, 1e-9)
    }).pipe(Effect.provide(priced(3600))))

  it.effect("is shared with the other streams of the backend", () =>
    Effect.gen(function* () {
      yield* TestClock.adjust("1 second")
      yield* settle([ask("/api/chat", chat())])
      yield* settle([ask("/api/chat", chat("a")), ask("/api/chat", chat("b"))])
      const [, first, second] = yield* settled
      const seconds = ({ settled, totalMillis }: RequestSettled) => (totalMillis - settled.queuedMillis) / 1000
      // The other one still goes on when the first one ends, and not when the second one does.
      assert.closeTo(first!.cost!, seconds(first!) / 2, 1e-9)
      assert.closeTo(second!.cost!, seconds(second!), 1e-9)
    }).pipe(Effect.provide(priced(3600))))

  it.effect("is not known without a price, nor of a request that reached no backend", () =>
    Effect.gen(function* () {
      yield* TestClock.adjust("1 second")
      yield* settle([ask("/api/chat", chat()), ask("/api/chat", { model: "nobody-has-it", messages: [] })])
      assert.deepStrictEqual((yield* settled).map(({ cost }) => cost), [undefined, undefined])
    }).pipe(Effect.provide(priced(undefined))))

  it.effect("is nothing where the price is 0, and is not charged for a refusal", () =>
    Effect.gen(function* () {
      yield* TestClock.adjust("1 second")
      yield* settle([ask("/api/chat", { model: "nobody-has-it", messages: [] })])
      yield* settle([ask("/api/chat", chat())])
      assert.deepStrictEqual((yield* settled).map(({ cost }) => cost), [undefined, 0])
    }).pipe(Effect.provide(priced(0))))
})

describe("counted beside the path", () => {
  const managed = overManaged({ a: { gpus: ["12 GiB"], models: [llama31, mistral, SimulatedFleet.Model.tinyEos] } }, {
    plans: [PinnedPlan.make(["tiny-eos"])],
    retry: FailoverRetry.make(),
  })

  it.effect("evictions, prewarms, plugins, sensors and the retry budget", () =>
    Effect.gen(function* () {
      yield* TestClock.adjust("30 seconds")
      assert.isTrue((yield* Prewarmer).ready())
      const prewarmed = count("llamero_prewarms_total", { plan: "pinned", model: "tiny-eos:latest", result: "success" })
      assert.strictEqual(yield* prewarmed, 1)
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(yield* prewarmed, 1)
      const evictions = (model: string) => count("llamero_evictions_total", { backend: "a", model })
      yield* settle([ask("/api/generate", { model: llama31.name, prompt: "x" })], "60 seconds")
      assert.isUndefined(yield* evictions(llama31.name))
      yield* settle([ask("/api/generate", { model: mistral.name, prompt: "x" })], "60 seconds")
      assert.strictEqual(yield* evictions(llama31.name), 1)
      assert.isUndefined(yield* evictions(mistral.name))
      assert.isAtLeast((yield* count("llamero_plugin_duration_seconds", { kind: "scorer" })) ?? 0, 1)
      assert.isAtLeast((yield* count("llamero_plugin_duration_seconds", { kind: "filter" })) ?? 0, 1)
      const [device] = (yield* VramLedger).devices()
      assert.strictEqual(device?.reserve, 2 * 1024 ** 3)
      assert.deepStrictEqual(device?.sensors, { temperature: 34, power: 70, utilisation: 0, healthy: true })
      assert.isAbove((yield* Router).retryBudget?.() ?? 0, 9)
    }).pipe(Effect.provide(managed.pipe(Layer.provideMerge(registry)))))
})
