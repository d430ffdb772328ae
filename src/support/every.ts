/**
 * Repetition by the clock.
 *
 * @since 0.1.0
 */
import { Clock, Duration, Effect } from "effect"
import { Host } from "../services/Host.ts"
import * as Outage from "./outage.ts"

/**
 * Runs `effect` for ever, once each `interval`, counted from start to start.
 *
 * **Details**
 *
 * - A run that takes longer than the interval is followed by the next one at once. `Schedule.fixed` waits for the next
 *   boundary instead, which halves the pace of probes that end at their time limit.
 * - A defect is logged and ends only its own run. Otherwise a background check could stop without a sign. The same
 *   defect is logged once, until a run ends without one.
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
    const guarded = Outage.contained("a background check failed")(effect)
    for (;;) {
      const next = clock.currentTimeMillisUnsafe() + millis
      yield* guarded
      // At least one millisecond, so that other fibers run even when every run is late.
      yield* Effect.sleep(Math.max(1, next - clock.currentTimeMillisUnsafe()))
    }
  },
)

/**
 * Does what `every` does where the process lives on between requests. On an ephemeral host it does nothing: there
 * `ViewRefresh` reads the state of the fleet when a request comes.
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
