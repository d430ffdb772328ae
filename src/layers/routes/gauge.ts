/**
 * A gauge, and how it gets its value at a scrape.
 *
 * @since 0.1.0
 */
import { type Context, Effect, Metric, type Scope } from "effect"

/** @internal */
export const gauge = (name: string, description: string) => Metric.gauge(name, { description })

/** Enters a value. @internal */
export type Set = (
  metric: Metric.Metric<number, unknown>,
  value: number,
  labels?: Readonly<Record<string, string>>,
) => void

/**
 * Puts a gauge into the `MetricRegistry` until the scope closes. Its value is read whenever the registry is.
 *
 * @internal
 */
export const registered = (
  metric: Metric.Metric<number, Metric.GaugeState<number>>,
  value: () => number,
): Effect.Effect<void, never, Scope.Scope> =>
  Effect.contextWith((context: Context.Context<Scope.Scope>) =>
    Effect.asVoid(Effect.acquireRelease(
      Effect.sync(() =>
        Metric.registerUnsafe(metric, context, { get: () => ({ value: value() }), update: () => {}, modify: () => {} })
      ),
      (registration) => Effect.sync(() => registration.remove()),
    ))
  )
