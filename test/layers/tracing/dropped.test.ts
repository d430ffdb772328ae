/** Spans that no collector gets are counted: as many as there would have been. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Layer, Metric } from "effect"
import { TestClock } from "effect/testing"
import * as RequestSpans from "../../../src/layers/tracing/requestSpans.ts"
import { RouterEvents } from "../../../src/services/RouterEvents.ts"
import * as SimulatedFleet from "../../../src/simulated/SimulatedFleet.ts"
import { ask, url } from "../../support/routers.ts"
import { traced } from "./collector.ts"

const { Fault } = SimulatedFleet
const chat = { model: "tiny-eos", messages: [{ role: "user", content: "hi" }] }
const wide = { parallelism: 64, decodeRate: 10_000, loadTime: "1 second" } as const

const dropped = Effect.gen(function* () {
  const found = (yield* Metric.snapshot).filter(({ id }) => id === "llamero_trace_spans_dropped_total")
  return Object.fromEntries(
    found.map(({ attributes, state }) => [attributes?.["reason"], (state as { readonly count: number }).count]),
  )
})

const many = (count: number) =>
  Effect.gen(function* () {
    const fibers = yield* Effect.forEach(
      Array.from({ length: count }),
      () => Effect.forkChild(ask("/api/chat", chat), { startImmediately: true }),
    )
    yield* TestClock.adjust("2 minutes")
    yield* Effect.forEach(fibers, Fiber.join)
  })

/** Counts the spans of the requests from now on. */
const made = Effect.gen(function* () {
  let spans = 0
  yield* (yield* RouterEvents).subscribe((event) => {
    if (event._tag !== "RequestSettled" || event.trace === undefined) return
    spans += RequestSpans.make(event, event.trace, () => 0.5).length
  })
  return () => spans
})

/** With a registry of its own. */
const alone = (options: NonNullable<Parameters<typeof traced>[1]>) => {
  const { collector, layer } = traced({ a: wide }, options)
  return { collector, layer: layer.pipe(Layer.provideMerge(Layer.succeed(Metric.MetricRegistry, new Map()))) }
}

describe("llamero_trace_spans_dropped_total", () => {
  const none = alone({ batchMax: 10 })
  it.effect("is there from the start, and stays 0 while all spans arrive", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* dropped, { "queue-full": 0, "export-failed": 0 })
      yield* TestClock.adjust("1 second")
      yield* many(50)
      yield* TestClock.adjust("1 minute")
      assert.isAtLeast(none.collector.spans.length, 100)
      assert.deepStrictEqual(yield* dropped, { "queue-full": 0, "export-failed": 0 })
    }).pipe(Effect.provide(none.layer)))

  const sizes = { queueMax: 40, batchMax: 10 } as const
  const late = alone(sizes)
  it.effect("counts what finds the queue full: with those that arrive, these are all", () =>
    Effect.gen(function* () {
      yield* TestClock.adjust("1 second")
      yield* many(1)
      yield* TestClock.adjust("1 minute")
      const { collector } = late
      collector.spans.length = 0
      const spans = yield* made
      // So slow that most spans find the queue full.
      collector.answer = Effect.as(Effect.sleep("5 seconds"), 200)
      yield* many(100)
      yield* TestClock.adjust("10 minutes")
      const lost = yield* dropped
      assert.isAbove(lost["queue-full"]!, 100)
      assert.strictEqual(lost["export-failed"], 0)
      // Of a request: itself, its attempt, the relay, and of some the wait in a queue.
      assert.isAtLeast(spans(), 300)
      assert.strictEqual(collector.spans.length + lost["queue-full"]!, spans())
    }).pipe(Effect.provide(late.layer)))

  for (const status of [400, 503]) {
    const refusing = alone(sizes)
    it.effect(`counts batches that fail with ${status}, and those of the minute after`, () =>
      Effect.gen(function* () {
        yield* TestClock.adjust("1 second")
        yield* many(1)
        yield* TestClock.adjust("1 minute")
        const { collector } = refusing
        const before = collector.spans.length
        const spans = yield* made
        collector.answer = Effect.succeed(status)
        for (let i = 0; i < 5; i++) {
          yield* many(2)
          yield* TestClock.adjust("10 seconds")
        }
        assert.strictEqual(collector.spans.length, before)
        const lost = spans()
        assert.isAtLeast(lost, 30)
        assert.deepStrictEqual(yield* dropped, { "queue-full": 0, "export-failed": lost })
        collector.answer = Effect.succeed(200)
        yield* TestClock.adjust("3 minutes")
        yield* many(1)
        yield* TestClock.adjust("1 minute")
        assert.strictEqual(collector.spans.length - before, spans() - lost)
        assert.deepStrictEqual(yield* dropped, { "queue-full": 0, "export-failed": lost })
      }).pipe(Effect.provide(refusing.layer)))
  }
})

describe("the number of spans of a request", () => {
  const { layer } = traced({ a: { ...wide, loadTime: "2 seconds" }, b: wide }, { sampler: "always_off" })
  it.effect("is known without making them", () =>
    Effect.gen(function* () {
      const sizes = new Set<number>()
      yield* (yield* RouterEvents).subscribe((event) => {
        if (event._tag !== "RequestSettled" || event.trace === undefined) return
        const { length } = RequestSpans.make(event, event.trace, () => 0.5)
        assert.strictEqual(RequestSpans.count(event, event.trace), length)
        sizes.add(length)
      })
      yield* TestClock.adjust("1 second")
      yield* many(3)
      yield* many(1)
      const fleet = yield* SimulatedFleet.SimulatedFleet
      for (const id of ["a", "b"]) fleet.get(url(id)).script(Fault.refuse, { path: "/api/chat", times: 1 })
      yield* many(2)
      const same = { ...chat, options: { temperature: 0 } }
      const twins = yield* Effect.forEach(
        [1, 2, 3],
        () => Effect.forkChild(ask("/api/chat", same), { startImmediately: true }),
      )
      const batch = yield* Effect.forEach(
        Array.from({ length: 12 }, (_, i) => `text ${i}`),
        (input) => Effect.forkChild(ask("/api/embed", { model: "tiny-embed", input }), { startImmediately: true }),
      )
      yield* TestClock.adjust("1 minute")
      yield* Effect.forEach([...twins, ...batch], Fiber.join)
      yield* ask("/api/chat", { ...chat, model: "nope" })
      const left = yield* Effect.forkChild(ask("/api/chat", chat), { startImmediately: true })
      yield* Fiber.interrupt(left)
      // Loads, failed attempts, shared answers, refusals: not all the same.
      assert.isAtLeast(sizes.size, 3)
    }).pipe(Effect.provide(layer)))
})
