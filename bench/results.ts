import type { Compare, How, Metric, Sample } from "./scenario.ts"
import { type Spread, spread } from "./statistics.ts"

/** Share of the proxy's core from which on other programs disturb a round. */
export const DISTURBED = 0.1

/** All rounds of one scenario on one target. */
export interface Row {
  readonly scenario: string
  readonly target: string
  readonly samples: Array<Sample>
  /** Why the target was given up. */
  failed?: string
}

export type Results = ReadonlyArray<Row>

export const find = (results: Results, scenario: string, target: string): Row | undefined =>
  results.find((row) => row.scenario === scenario && row.target === target)

export const over = (samples: ReadonlyArray<Sample>, metric: Metric): Spread | undefined =>
  spread(samples.map((sample) => sample[metric]).filter((value) => value !== undefined))

export const median = (results: Results, scenario: string, target: string, metric: Metric): number | undefined =>
  over(find(results, scenario, target)?.samples ?? [], metric)?.median

export const errorsOf = (row: Row | undefined): number =>
  (row?.samples ?? []).reduce((sum, { errors }) => sum + errors, 0)

export interface Comparison {
  readonly scenario: string
  readonly target: string
  readonly metric: Metric
  readonly to: { readonly scenario: string; readonly target: string }
  readonly how: How
}

/** The other side of a comparison. */
export const otherSide = (
  { scenario, target }: { readonly scenario: string; readonly target: string },
  against: Pick<Compare, "to" | "scenario">,
): Comparison["to"] => ({ scenario: against.scenario ?? scenario, target: against.to ?? target })

/** Compares round with round, because rounds that ran next to each other had the same conditions. */
export const compared = (results: Results, { scenario, target, metric, to, how }: Comparison): Spread | undefined => {
  const theirs = find(results, to.scenario, to.target)?.samples ?? []
  const ours = find(results, scenario, target)?.samples ?? []
  return spread(ours.flatMap((sample, round) => {
    const a = sample[metric]
    const b = theirs[round]?.[metric]
    if (a === undefined || b === undefined || how === "ratio" && b === 0) return []
    return [how === "ratio" ? a / b : a - b]
  }))
}
