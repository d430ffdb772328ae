/**
 * Measures how late the event loop runs.
 *
 * @since 0.1.0
 */
import { type Clock, type Context, Duration, Effect, type Scope } from "effect"
import { Host } from "../../services/Host.ts"
import { histogram, Series } from "../../support/metricSeries.ts"

const lag = histogram(
  "llamero_event_loop_lag_seconds",
  "How much later than asked a timer of the process runs; two are asked for in a second",
  [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5],
)

/** Sleeps for `interval` again and again. On an ephemeral host, where timers stop between requests, it does nothing. */
export const watch = Effect.fnUntraced(function* (
  interval: Duration.Duration,
  clock: Clock.Clock,
  context: Context.Context<never>,
): Effect.fn.Return<void, never, Scope.Scope> {
  if ((yield* Host) !== "resident") return
  const series = new Series(lag, {}, context)
  const asked = Duration.toMillis(interval)
  const look = Effect.gen(function* () {
    const before = clock.currentTimeNanosUnsafe()
    yield* Effect.sleep(interval)
    const millis = Number(clock.currentTimeNanosUnsafe() - before) / 1e6
    series.add(Math.max(0, millis - asked) / 1000)
  })
  yield* Effect.forkScoped(Effect.forever(look))
})
