/**
 * Test time in steps.
 *
 * @since 0.1.0
 */
import { Duration, Effect } from "effect"
import { TestClock } from "effect/testing"

/**
 * Lets time pass in steps. `TestClock.adjust` wakes each sleeper once and gives it a few turns, which is too few for chains of fibers that go to sleep
 * again on the way; in steps everyone gets there. Steps are of 500 ms by default.
 *
 * @category running
 * @since 0.1.0
 */
export const elapse = (duration: Duration.Input, step: Duration.Input = "500 millis"): Effect.Effect<void> => {
  const total = Duration.toMillis(Duration.fromInputUnsafe(duration))
  const each = Duration.toMillis(Duration.fromInputUnsafe(step))
  const whole = Math.floor(total / each)
  return Effect.gen(function* () {
    for (let i = 0; i < whole; i++) yield* TestClock.adjust(each)
    if (total > whole * each) yield* TestClock.adjust(total - whole * each)
    // A last chance for what the last step set off.
    yield* TestClock.adjust(0)
  })
}
