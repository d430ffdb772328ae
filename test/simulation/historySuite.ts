/**
 * Invariants 2, 4, 5, 7 and 10 of the whole router, over generated histories of arrivals, faults, crashes and clients
 * that leave.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { TestClock } from "effect/testing"
import { play, Step } from "./history.ts"

/** `runs` histories; each is played twice. */
export const suite = (runs: number): void => {
  describe("histories", () => {
    it.effect.prop(
      "every request gets one right answer, nothing leaks, and the same history gives the same trace",
      { steps: Schema.Array(Step) },
      ({ steps }) =>
        Effect.gen(function* () {
          const first = yield* play(steps).pipe(Effect.provide(TestClock.layer()))
          const second = yield* play(steps).pipe(Effect.provide(TestClock.layer()))
          assert.deepStrictEqual(second, first)
        }),
      { arbitrary: { runs, size: 100, seed: "histories" }, timeout: 240_000 },
    )
  })
}
