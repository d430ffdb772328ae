/**
 * A gauge, and how it gets its value at a scrape.
 *
 * @since 0.1.0
 */
import { Metric } from "effect"

/** @internal */
export const gauge = (name: string, description: string) => Metric.gauge(name, { description })

/** Enters a value. @internal */
export type Set = (
  metric: Metric.Metric<number, unknown>,
  value: number,
  labels?: Readonly<Record<string, string>>,
) => void
