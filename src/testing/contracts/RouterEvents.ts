/**
 * What every `RouterEvents` must do.
 *
 * @since 0.1.0
 */
import { Effect, type Layer } from "effect"
import { type RouterEvent, RouterEvents } from "../../services/RouterEvents.ts"
import * as assert from "../assert.ts"
import { type Check, check } from "../checks.ts"

/** An event that is recognised by its id. @category constructors @since 0.1.0 */
export const event = (id: string): RouterEvent => ({ _tag: "AttemptFailed", at: 0, id, backend: "a", cause: "refused" })

/** Lets background fibers run. @category running @since 0.1.0 */
export const settle: Effect.Effect<void> = Effect.repeat(Effect.yieldNow, { times: 5 })

/** @category contracts @since 0.1.0 */
export const contract = (layer: Layer.Layer<RouterEvents, unknown>): ReadonlyArray<Check> => [
  check("tells every listener every event, in order, until its scope closes", () =>
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
    }).pipe(Effect.provide(layer))),

  check("has told everything after a flush", () =>
    Effect.gen(function* () {
      const events = yield* RouterEvents
      const heard: Array<string> = []
      yield* events.subscribe((one) => heard.push((one as { id: string }).id))
      events.publish(event("1"))
      events.flush()
      assert.deepStrictEqual(heard, ["1"])
      yield* settle
      assert.deepStrictEqual(heard, ["1"])
    }).pipe(Effect.provide(layer))),

  check("remembers the last ones, newest first", () =>
    Effect.gen(function* () {
      const events = yield* RouterEvents
      for (const id of ["1", "2", "3"]) events.publish(event(id))
      assert.deepStrictEqual(events.recent(2).map((one) => (one as { id: string }).id), ["3", "2"])
    }).pipe(Effect.provide(layer))),
]
