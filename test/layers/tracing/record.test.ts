/** The record of a request has the times of its stages, with and without tracing. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { RouterEvents } from "../../../src/services/RouterEvents.ts"
import { ask } from "../../support/routers.ts"
import { traced } from "./collector.ts"

const chat = { model: "tiny-eos", messages: [{ role: "user", content: "hi" }] }
const server = { loadTime: "2 seconds", overhead: "50 millis" } as const

/** The record of a call. */
const settled = (body: object) =>
  Effect.gen(function* () {
    const fiber = yield* Effect.forkChild(ask("/api/chat", body), { startImmediately: true })
    yield* TestClock.adjust("20 seconds")
    yield* Fiber.join(fiber)
    const found = (yield* RouterEvents).recent(10).find((event) => event._tag === "RequestSettled")
    assert.strictEqual(found?._tag, "RequestSettled")
    return found as typeof found & { readonly _tag: "RequestSettled" }
  })

describe("the record of a request", () => {
  for (const tracing of [false, {}] as const) {
    const { layer } = traced({ a: server }, tracing)
    it.effect(`has its times, ${tracing === false ? "without" : "with"} tracing`, () =>
      Effect.gen(function* () {
        yield* TestClock.adjust("1 second")
        const cold = yield* settled(chat)
        assert.strictEqual(cold.asked, "tiny-eos")
        const times = [cold.receivedAt, cold.askedAt, cold.loadingAt, cold.leasedAt, cold.firstByteAt, cold.at]
        assert.deepStrictEqual(times, times.toSorted((a, b) => a! - b!))
        assert.isAtLeast(cold.leasedAt! - cold.loadingAt!, 2000)
        assert.isAtLeast(cold.firstByteAt! - cold.leasedAt!, 50)
        const warm = yield* settled(chat)
        assert.isUndefined(warm.loadingAt)
        assert.strictEqual(warm.leasedAt, warm.askedAt)
        const unknown = yield* settled({ ...chat, model: "nope" })
        assert.deepInclude(unknown, { asked: "nope", askedAt: undefined, leasedAt: undefined, firstByteAt: undefined })
        assert.strictEqual(warm.trace === undefined, tracing === false)
      }).pipe(Effect.provide(layer)))
  }
})
