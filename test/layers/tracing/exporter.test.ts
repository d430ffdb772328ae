/** A collector that is slow, gone, or refuses: memory stays bounded, and no request fails or waits. */
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { ask, idle, nothing } from "../../support/routers.ts"
import { type Collector, traced } from "./collector.ts"

const chat = { model: "tiny-eos", messages: [{ role: "user", content: "hi" }] }
const one = Effect.gen(function* () {
  const fiber = yield* Effect.forkChild(ask("/api/chat", chat), { startImmediately: true })
  yield* TestClock.adjust("3 seconds")
  return (yield* Fiber.join(fiber)).settled.status
})
const many = (count: number) =>
  Effect.gen(function* () {
    const fibers = yield* Effect.forEach(
      Array.from({ length: count }),
      () => Effect.forkChild(ask("/api/chat", chat), { startImmediately: true }),
    )
    yield* TestClock.adjust("2 minutes")
    return yield* Effect.forEach(fibers, (fiber) => Effect.map(Fiber.join(fiber), ({ settled }) => settled.status))
  })
const wide = { parallelism: 64, decodeRate: 10_000, loadTime: "1 second" } as const
const requests = (collector: Collector) => collector.named("POST /api/chat").length

describe("the exporter", () => {
  const whole = traced({ a: wide }, { batchMax: 10, delayMillis: 600_000 })
  it.effect("sends a batch as soon as it is full, one after the other", () =>
    Effect.gen(function* () {
      yield* TestClock.adjust("1 second")
      yield* one
      assert.strictEqual(whole.collector.asked, 0, "a batch that is not full waits")
      whole.collector.answer = Effect.as(Effect.sleep("1 second"), 200)
      assert.deepStrictEqual(new Set(yield* many(50)), new Set([200]))
      assert.isAtLeast(whole.collector.asked, 10)
      assert.strictEqual(whole.collector.most, 1)
      assert.isAtLeast(whole.collector.spans.length, 100)
      whole.collector.answer = Effect.succeed(200)
    }).pipe(Effect.provide(whole.layer)))

  const hung = traced({ a: wide }, { queueMax: 40, batchMax: 10, timeoutMillis: 10_000 })
  it.effect("drops what does not fit the queue while the collector hangs, and requests do not wait", () =>
    Effect.gen(function* () {
      yield* TestClock.adjust("1 second")
      const { collector } = hung
      collector.answer = Effect.never
      assert.strictEqual(yield* one, 200)
      assert.deepStrictEqual(new Set(yield* many(100)), new Set([200]))
      assert.strictEqual(collector.most, 1, "one export at a time, each with an end")
      assert.isAbove(collector.asked, 1, "an export that hangs is given up")
      assert.deepStrictEqual(yield* idle, nothing)
      collector.answer = Effect.succeed(200)
      yield* TestClock.adjust("3 minutes")
      assert.isAtMost(collector.spans.length, 60)
      collector.spans.length = 0
      yield* one
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual(requests(collector), 1, "it goes on when the collector answers")
    }).pipe(Effect.provide(hung.layer)))

  const late = traced({ a: wide }, { queueMax: 40, batchMax: 10 })
  it.effect("keeps no more than the queue and one batch for a collector that is slow, and whole requests", () =>
    Effect.gen(function* () {
      yield* TestClock.adjust("1 second")
      yield* one
      yield* TestClock.adjust("10 seconds")
      const { collector } = late
      collector.spans.length = 0
      const waiting = yield* Deferred.make<number>()
      collector.answer = Deferred.await(waiting)
      const fibers = yield* Effect.forEach(
        Array.from({ length: 100 }),
        () => Effect.forkChild(ask("/api/chat", chat), { startImmediately: true }),
      )
      yield* TestClock.adjust("9 seconds")
      collector.answer = Effect.succeed(200)
      yield* Deferred.succeed(waiting, 200)
      yield* Effect.forEach(fibers, Fiber.join)
      yield* TestClock.adjust("1 minute")
      assert.isAtLeast(collector.spans.length, 40)
      // The last request of the queue may have more spans than there was room for.
      assert.isAtMost(collector.spans.length, 60)
      const ids = new Set(collector.spans.map(({ spanId }) => spanId))
      assert.isTrue(collector.spans.every(({ parent }) => parent === undefined || ids.has(parent)))
    }).pipe(Effect.provide(late.layer)))

  for (const status of [400, 401, 404, 429, 500, 503]) {
    const refusing = traced({ a: wide }, { queueMax: 40, batchMax: 10 })
    it.effect(`goes on after answers of ${status}`, () =>
      Effect.gen(function* () {
        yield* TestClock.adjust("1 second")
        const { collector } = refusing
        collector.answer = Effect.succeed(status)
        assert.deepStrictEqual(new Set(yield* many(30)), new Set([200]))
        assert.strictEqual(requests(collector), 0)
        const { asked } = collector
        assert.isAtLeast(asked, 1)
        assert.isAtMost(asked, 40, "a collector that refuses is not flooded")
        collector.answer = Effect.succeed(200)
        yield* TestClock.adjust("3 minutes")
        collector.spans.length = 0
        yield* one
        yield* TestClock.adjust("10 seconds")
        assert.strictEqual(requests(collector), 1)
      }).pipe(Effect.provide(refusing.layer)))
  }

  it.effect("sends what still waits when the router stops", () => {
    const closing = traced({ a: wide }, { delayMillis: 600_000 })
    return Effect.gen(function* () {
      yield* Effect.provide(Effect.andThen(TestClock.adjust("1 second"), one), closing.layer)
      assert.strictEqual(requests(closing.collector), 1)
    })
  })
})
