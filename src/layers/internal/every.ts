/**
 * Repetition by the clock.
 *
 * @since 0.1.0
 */
import { Clock, Duration, Effect } from "effect"

/**
 * Runs `effect` for ever, once each `interval`, counted from start to start. A run that takes longer than the interval is followed at once by the next,
 * unlike with `Schedule.fixed`, which waits for the next boundary and so halves the pace of probes that run into their limit.
 *
 * @category utils
 * @since 0.1.0
 */
export const every = Effect.fnUntraced(
  function* <E, R>(interval: Duration.Duration, effect: Effect.Effect<unknown, E, R>): Effect.fn.Return<never, E, R> {
    const clock = yield* Clock.Clock
    const millis = Duration.toMillis(interval)
    for (;;) {
      const next = clock.currentTimeMillisUnsafe() + millis
      yield* effect
      // At least one turn for others, whatever the clock does.
      yield* Effect.sleep(Math.max(1, next - clock.currentTimeMillisUnsafe()))
    }
  },
)
