/** The figures that llamero must reach, each checked against the run that just ended. */
import {
  compared,
  type Comparison,
  DISTURBED,
  errorsOf,
  find,
  median,
  otherSide,
  type Results,
  type Row,
} from "./results.ts"
import * as Names from "./scenario.ts"
import type { How, Metric } from "./scenario.ts"

interface Against {
  readonly to?: string
  readonly scenario?: string
  readonly how: How
}

interface Figure {
  readonly says: string
  readonly scenario: string
  /** Defaults to `llamero`. */
  readonly target?: string
  readonly metric: Metric
  /** If absent, the number itself is checked. */
  readonly against?: Against
  /** A load on the same target that must have gone well before, too. */
  readonly after?: string
  readonly atLeast?: number
  readonly atMost?: number
  readonly unit: string
}

export interface Verdict {
  readonly figure: string
  readonly verdict: "PASS" | "MISS" | "SKIP"
  readonly value: number | undefined
  readonly wanted: string
  readonly measured: string
  /** What makes the verdict doubtful, or why there is no value. */
  readonly note: string
}

const TARGET = "llamero"
const ratio = { to: "node-http", how: "ratio" } as const
const added = { to: "direct", how: "added" } as const
const toRaw = { against: ratio, unit: "x node-http" }
const toFresh = (scenario: string) => ({
  against: { scenario, how: "ratio" as const },
  after: Names.AGING,
  unit: "x fresh",
})
const toAgedRaw = { against: ratio, after: Names.AGING, unit: "x node-http, aged too" }

/** Everything that can be seen of requests, beside nothing of it. */
const observed = (says: string, scenario: string): Figure => ({
  says: `everything observed: ${says}`,
  scenario,
  target: "observed",
  metric: "rate",
  against: { to: "unobserved", how: "ratio" },
  atLeast: 0.95,
  unit: "x unobserved",
})

/** What Deno's own node:http does is 1. A time or a memory of 1 / 0.9 is as far from it as a rate of 0.9. */
const DENO_SHARE = 0.9
const deno = (says: string, load: string, metric: Metric): Figure => ({
  says: `Deno: ${says}`,
  scenario: Names.onDeno(load),
  target: "llamero-deno",
  metric,
  against: { to: "node-http-deno", how: "ratio" },
  ...(metric === "rate" ? { atLeast: DENO_SHARE } : { atMost: 1 / DENO_SHARE }),
  unit: "x node-http-deno",
})

export const figures: ReadonlyArray<Figure> = [
  { says: "JSON at 32 connections, req/s", scenario: Names.JSON_32, metric: "rate", ...toRaw, atLeast: 1.4 },
  { says: "64-chunk streams, req/s", scenario: Names.STREAM_32, metric: "rate", ...toRaw, atLeast: 1.2 },
  { says: "2,000 open slow streams, RSS", scenario: Names.SLOW, metric: "rss", ...toRaw, atMost: 1.2 },
  { says: "paced, added p50", scenario: Names.PACED, metric: "p50", against: added, atMost: 0.2, unit: "ms" },
  { says: "paced, added p95", scenario: Names.PACED, metric: "p95", against: added, atMost: 0.4, unit: "ms" },
  { says: "70 % of raw's saturation, p99", scenario: Names.TAIL, metric: "p99", ...toRaw, atMost: 1.2 },
  { says: "ready", scenario: Names.READY, metric: "ready", atMost: 400, unit: "ms" },
  { says: "idle RSS", scenario: Names.READY, metric: "rss", atMost: 130, unit: "MiB" },
  { says: "10,000 idle connections, RSS", scenario: Names.IDLE, metric: "rss", atMost: 400, unit: "MiB" },
  observed("JSON at 32 connections, req/s", Names.OBSERVED_JSON),
  observed("64-chunk streams, req/s", Names.OBSERVED_STREAM),
  {
    says: "aged, JSON at 1 connection, p99",
    scenario: Names.AGED_1,
    metric: "p99",
    ...toFresh(Names.FRESH_1),
    atMost: 1.2,
  },
  {
    says: "aged, JSON at 32 connections, p99",
    scenario: Names.AGED_32,
    metric: "p99",
    ...toFresh(Names.FRESH_32),
    atMost: 1.2,
  },
  {
    says: "aged, JSON at 1 connection, p99",
    scenario: Names.AGED_1,
    metric: "p99",
    ...toAgedRaw,
    atMost: 1.2,
  },
  {
    says: "aged, JSON at 32 connections, p99",
    scenario: Names.AGED_32,
    metric: "p99",
    ...toAgedRaw,
    atMost: 1.2,
  },
  { says: "RSS 10 s after aging", scenario: Names.AGING, metric: "rss", ...toFresh(Names.FRESH_IDLE), atMost: 1.3 },
  { says: "aged, idle RSS", scenario: Names.AGED_IDLE, metric: "rss", ...toFresh(Names.FRESH_IDLE), atMost: 1.3 },
  deno("JSON at 32 connections, req/s", Names.JSON_32, "rate"),
  deno("64-chunk streams, req/s", Names.STREAM_32, "rate"),
  deno("2,000 open slow streams, RSS", Names.SLOW, "rss"),
  deno("70 % of raw's saturation, p99", Names.TAIL, "p99"),
]

/** Whether another program used the proxy's core in a round of one of these rows. */
const disturbed = (rows: ReadonlyArray<Row | undefined>): boolean =>
  rows.some((row) => row?.samples.some(({ others }) => (others ?? 0) > DISTURBED))

/** A load that was not fully answered proves nothing, however fast it was. */
const faults = (rows: ReadonlyArray<Row | undefined>): ReadonlyArray<string> =>
  rows.flatMap((row) => {
    if (row === undefined) return []
    if (row.failed !== undefined) return [`${row.target} gave up in "${row.scenario}"`]
    const errors = errorsOf(row)
    return errors === 0 ? [] : [`${errors} errors of ${row.target} in "${row.scenario}"`]
  })

/** The rows on which a figure rests: ours, the other side's, and what was done to both before. */
const rowsOf = (
  results: Results,
  { after, scenario, target = TARGET }: Figure,
  other: Comparison["to"] | undefined,
) => {
  const pairs = [[scenario, target], [other?.scenario, other?.target], [after, target], [after, other?.target]] as const
  return [
    ...new Set(pairs.map(([scenario, target]) => scenario && target ? find(results, scenario, target) : undefined)),
  ]
}

/** A history that was not complete made the process less old. */
const incomplete = (rows: ReadonlyArray<Row | undefined>): boolean =>
  rows.some((row) => row?.samples.some(({ behind = 0 }) => behind > 0))

const judge = (results: Results, figure: Figure): Verdict => {
  const { against, atLeast, atMost, metric, says, scenario, target = TARGET, unit } = figure
  const limit = atLeast === undefined ? `<= ${Number(atMost!.toFixed(2))}` : `>= ${atLeast}`
  const verdict = { figure: says, wanted: `${limit} ${unit}` }
  const other = against && otherSide({ scenario, target }, against)
  const rows = rowsOf(results, figure, other)
  const value = other
    ? compared(results, { scenario, target, metric, to: other, how: against.how })?.median
    : median(results, scenario, target, metric)
  const wrong = faults(rows)
  if (value === undefined || Number.isNaN(value)) {
    // A target that fails must not look as if nobody had asked.
    const failed = find(results, scenario, target)?.failed !== undefined
    const note = wrong.length > 0 ? wrong.join("; ") : "not measured"
    return { ...verdict, verdict: failed ? "MISS" : "SKIP", value: undefined, measured: "-", note }
  }
  const holds = wrong.length === 0 && value >= (atLeast ?? -Infinity) && value <= (atMost ?? Infinity)
  const notes = [
    ...wrong,
    ...(incomplete(rows) ? ["the history is not complete"] : []),
    ...(disturbed(rows) ? ["disturbed, measure again"] : []),
  ]
  return { ...verdict, verdict: holds ? "PASS" : "MISS", value, measured: value.toFixed(2), note: notes.join("; ") }
}

export const verdicts = (results: Results): ReadonlyArray<Verdict> => figures.map((figure) => judge(results, figure))
