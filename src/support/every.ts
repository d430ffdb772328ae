/**
 * Repetition by the clock.
 *
 * @since 0.1.0
 */
import { Clock, Duration, Effect } from "effect"
import { Host } from "../services/Host.ts"

/**
 * Runs `effect` for ever, once each `interval`, counted from start to start. A run that takes longer than the interval is followed at once by the next,
 * unlike with `Schedule.fixed`, which waits for the next boundary and so halves the pace of probes that run into their limit. A defect is logged and ends
 * only its own run: nobody would notice a watch that has stopped.
 *
 * @category utils
 * @since 0.1.0
 */
export const every = Effect.fnUntraced(
  function* <R>(
    interval: Duration.Duration,
    effect: Effect.Effect<unknown, never, R>,
  ): Effect.fn.Return<never, never, R> {
    const clock = yield* Clock.Clock
    const millis = Duration.toMillis(interval)
    const guarded = Effect.catchDefect(effect, (defect) => Effect.logError("a background check failed", defect))
    for (;;) {
      const next = clock.currentTimeMillisUnsafe() + millis
      yield* guarded
      // At least one turn for others, whatever the clock does.
      yield* Effect.sleep(Math.max(1, next - clock.currentTimeMillisUnsafe()))
    }
  },
)

/**
 * As `every`, where the process lives on between requests. Elsewhere nothing at all: there `ViewRefresh` has things read when requests come.
 *
 * @category utils
 * @since 0.1.0
 */
export const watch = <R>(
  interval: Duration.Duration,
  effect: Effect.Effect<unknown, never, R>,
): Effect.Effect<void, never, R> =>
  Effect.flatMap(
    Host,
    (host): Effect.Effect<void, never, R> => host === "resident" ? every(interval, effect) : Effect.void,
  )
