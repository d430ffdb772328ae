/**
 * Counts the loads that plans have waited for.
 *
 * @since 0.1.0
 */
import type { Context } from "effect"
import type { PrewarmStatus } from "../../../services/Prewarmer.ts"
import { counter, rare } from "../../../support/metricSeries.ts"

const prewarms = counter("llamero_prewarms_total", "Loads for plans that ended")

/** Tells one model on one backend for one plan from all others. @category accessors @since 0.1.0 */
export const keyOf = ({ backend, model, plan }: PrewarmStatus): string => [plan, model, backend].join("\u0000")

/**
 * Counts what changed between two evaluations of the plans, and returns the later one.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (context: Context.Context<never>) => {
  const count = rare(prewarms, context)
  return <S extends PrewarmStatus>(before: ReadonlyArray<S>, now: ReadonlyArray<S>): ReadonlyArray<S> => {
    const loading = new Set(before.filter(({ state }) => state === "loading").map(keyOf))
    for (const status of now) {
      const { backend = "", model, plan, state } = status
      if ((state !== "resident" && state !== "failed") || !loading.has(keyOf(status))) continue
      count(1, { plan, backend, model, result: state === "resident" ? "success" : "failure" })
    }
    return now
  }
}
