/**
 * A gauge, and how it gets its value at a scrape.
 *
 * @since 0.1.0
 */
import { type Context, Effect, Metric, type Scope } from "effect"
import type * as MetricText from "./metricText.ts"

/** @internal */
export const gauge = (name: string, help: string): MetricText.Read => ({ name, help, type: "gauge" })

/** What takes the values of one reading. A value that is set again replaces the one before. @internal */
export interface Taker {
  readonly set: Set
  /** Values that were set so far. */
  readonly count: number
}

/** Enters a value. @internal */
export type Set = (metric: MetricText.Read, value: number, labels?: MetricText.Labels) => void

/**
 * Puts a gauge into the `MetricRegistry` until the scope closes. Its value is read whenever the registry is.
 *
 * @internal
 */
export const registered = (
  { help, name }: MetricText.Read,
  value: () => number,
): Effect.Effect<void, never, Scope.Scope> =>
  Effect.contextWith((context: Context.Context<Scope.Scope>) =>
    Effect.asVoid(Effect.acquireRelease(
      Effect.sync(() =>
        Metric.registerUnsafe(Metric.gauge(name, { description: help }), context, {
          get: () => ({ value: value() }),
          update: () => {},
          modify: () => {},
        })
      ),
      (registration) => Effect.sync(() => registration.remove()),
    ))
  )
