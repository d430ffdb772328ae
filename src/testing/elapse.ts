/**
 * Test time in steps.
 *
 * @since 0.1.0
 */
import { Duration, Effect } from "effect"
import { TestClock } from "effect/testing"

/**
 * Lets test time pass in steps of 500 ms, or of `step`.
 *
 * **Details**
 *
 * `TestClock.adjust` wakes each sleeper once and lets it run for a few turns only. That is too few for chains of fibers
 * that sleep again on their way. In small steps all of them come to their end.
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
    // Lets fibers run that the last step woke.
    yield* TestClock.adjust(0)
  })
}
