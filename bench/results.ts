import type { Metric, Sample } from "./scenarios.ts"
import { type Spread, spread } from "./statistics.ts"

/** All rounds of one scenario on one target. */
export interface Row {
  readonly scenario: string
  readonly target: string
  readonly samples: Array<Sample>
  /** Why the target was given up. */
  failed?: string
}

export type Results = ReadonlyArray<Row>

export type How = "ratio" | "added"

const find = (results: Results, scenario: string, target: string) =>
  results.find((row) => row.scenario === scenario && row.target === target)

export const over = (samples: ReadonlyArray<Sample>, metric: keyof Sample): Spread | undefined =>
  spread(samples.map((sample) => sample[metric]).filter((value) => value !== undefined))

export const median = (results: Results, scenario: string, target: string, metric: Metric): number | undefined =>
  over(find(results, scenario, target)?.samples ?? [], metric)?.median

export interface Comparison {
  readonly scenario: string
  readonly target: string
  readonly metric: Metric
  readonly to: string
  readonly how: How
}

/** Compares round with round, because rounds that ran next to each other had the same conditions. */
export const compared = (results: Results, { scenario, target, metric, to, how }: Comparison): Spread | undefined => {
  const theirs = find(results, scenario, to)?.samples ?? []
  const ours = find(results, scenario, target)?.samples ?? []
  return spread(ours.flatMap((sample, round) => {
    const a = sample[metric]
    const b = theirs[round]?.[metric]
    return a === undefined || b === undefined ? [] : [how === "ratio" ? a / b : a - b]
  }))
}
