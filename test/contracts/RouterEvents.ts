/** What every `RouterEvents` must do. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, type Layer } from "effect"
import { type RouterEvent, RouterEvents } from "../../src/services/RouterEvents.ts"

export const event = (id: string): RouterEvent => ({ _tag: "AttemptFailed", at: 0, id, backend: "a", cause: "refused" })

/** Lets background fibers run. */
export const settle = Effect.repeat(Effect.yieldNow, { times: 5 })

export const contract = (name: string, layer: Layer.Layer<RouterEvents>) =>
  describe(`RouterEvents contract: ${name}`, () => {
    it.effect("tells every listener every event, in order, until its scope closes", () =>
      Effect.gen(function* () {
        const events = yield* RouterEvents
        const heard: Array<string> = []
        const short: Array<string> = []
        yield* events.subscribe((one) => heard.push((one as { id: string }).id))
        yield* Effect.scoped(Effect.gen(function* () {
          yield* events.subscribe((one) => short.push((one as { id: string }).id))
          events.publish(event("1"))
          events.publish(event("2"))
          yield* settle
        }))
        events.publish(event("3"))
        yield* settle
        assert.deepStrictEqual(heard, ["1", "2", "3"])
        assert.deepStrictEqual(short, ["1", "2"])
        assert.strictEqual(events.lost(), 0)
      }).pipe(Effect.provide(layer)))

    it.effect("has told everything after a flush", () =>
      Effect.gen(function* () {
        const events = yield* RouterEvents
        const heard: Array<string> = []
        yield* events.subscribe((one) => heard.push((one as { id: string }).id))
        events.publish(event("1"))
        events.flush()
        assert.deepStrictEqual(heard, ["1"])
        yield* settle
        assert.deepStrictEqual(heard, ["1"])
      }).pipe(Effect.provide(layer)))

    it.effect("remembers the last ones, newest first", () =>
      Effect.gen(function* () {
        const events = yield* RouterEvents
        for (const id of ["1", "2", "3"]) events.publish(event(id))
        assert.deepStrictEqual(events.recent(2).map((one) => (one as { id: string }).id), ["3", "2"])
      }).pipe(Effect.provide(layer)))
  })
