/** What every `Router` must do: never fail, answer once, and say what it did. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, type Layer } from "effect"
import { TestClock } from "effect/testing"
import { Router } from "../../src/services/Router.ts"
import { request } from "../support/routers.ts"
import { RecordingReply } from "../support/sinks.ts"

const chat = { model: "tiny-eos", messages: [{ role: "user", content: "hi" }] }

const routed = Effect.gen(function* () {
  const router = yield* Router
  const reply = new RecordingReply()
  const fiber = yield* Effect.forkChild(router.route(request("/api/chat", chat), reply), { startImmediately: true })
  yield* TestClock.adjust("1 minute")
  return { reply, settled: yield* Fiber.join(fiber) }
})

/** `answers` must answer a chat with tiny-eos; `refuses` must refuse it. */
export const contract = (name: string, layers: {
  readonly answers: Layer.Layer<Router, unknown>
  readonly refuses: Layer.Layer<Router, unknown>
}) =>
  describe(`Router contract: ${name}`, () => {
    it.effect("answers once, and settles with the status that the client saw", () =>
      Effect.gen(function* () {
        const { reply, settled } = yield* routed
        assert.strictEqual(reply.endings, 1)
        assert.strictEqual(settled.result, "answered")
        assert.strictEqual(settled.status, reply.status)
        assert.strictEqual((yield* Router).active(), 0)
      }).pipe(Effect.provide(layers.answers)))

    it.effect("a refusal is a value of the reply, never a failure of the effect", () =>
      Effect.gen(function* () {
        const { reply, settled } = yield* routed
        assert.lengthOf(reply.refusals, 1)
        assert.strictEqual(settled.result, "refused")
        assert.deepStrictEqual(settled.refusal, reply.refusals[0])
        assert.strictEqual(settled.status, reply.refusals[0]!.status)
        assert.strictEqual(reply.status, undefined)
      }).pipe(Effect.provide(layers.refuses)))

    it.effect("refuses everything once it drains", () =>
      Effect.gen(function* () {
        yield* (yield* Router).drain
        const { reply } = yield* routed
        assert.strictEqual(reply.refusals[0]!.reason, "Draining")
      }).pipe(Effect.provide(layers.answers)))
  })
