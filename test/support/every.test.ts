import { assert, describe, it } from "@effect/vitest"
import { Clock, Duration, Effect, Layer, Logger } from "effect"
import { TestClock } from "effect/testing"
import * as Host from "../../src/services/Host.ts"
import { every, watch } from "../../src/support/every.ts"

const starts = (run: (n: number) => Effect.Effect<unknown>) => {
  const times: Array<number> = []
  const effect = Effect.flatMap(Clock.currentTimeMillis, (now) => {
    times.push(now)
    return run(times.length)
  })
  return { times, effect }
}

describe("every", () => {
  it.effect("counts the interval from start to start, and follows a long run at once by the next", () =>
    Effect.gen(function* () {
      const { effect, times } = starts((n) => Effect.sleep(n === 2 ? 2500 : 100))
      yield* Effect.forkScoped(every(Duration.seconds(1), effect))
      for (let i = 0; i < 60; i++) yield* TestClock.adjust("100 millis")
      assert.deepStrictEqual(times.slice(0, 4).map((time) => Math.round(time / 100) * 100), [0, 1000, 3500, 4500])
    }))

  it.effect("continues after a defect, and logs it", () => {
    const lines: Array<unknown> = []
    return Effect.gen(function* () {
      const { effect, times } = starts((n) => n === 1 ? Effect.die(new Error("broken")) : Effect.void)
      yield* Effect.forkScoped(every(Duration.seconds(1), effect))
      yield* TestClock.adjust("2500 millis")
      assert.lengthOf(times, 3)
      assert.lengthOf(lines, 2, "one when it dies, one when it works again")
    }).pipe(Effect.provide(Logger.layer([Logger.make(({ message }) => void lines.push(message))])))
  })
})

describe("watch", () => {
  it.effect("does nothing on an ephemeral host", () =>
    Effect.gen(function* () {
      const { effect, times } = starts(() => Effect.void)
      yield* watch(Duration.seconds(1), effect).pipe(Effect.provide(Layer.fresh(Host.ephemeral)))
      assert.deepStrictEqual(times, [])
    }))
})
