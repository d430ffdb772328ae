/** The figures that llamero must reach, each checked against the run that just ended. */
import { DISTURBED } from "./quiet.ts"
import { compared, type How, median, type Results } from "./results.ts"
import { JSON_32, type Metric, PACED, READY, SLOW, STREAM_32, TAIL } from "./scenarios.ts"

interface Figure {
  readonly says: string
  readonly scenario: string
  readonly metric: Metric
  /** If absent, the number itself is checked. */
  readonly against?: { readonly to: string; readonly how: How }
  readonly atLeast?: number
  readonly atMost?: number
  readonly unit: string
}

export interface Verdict {
  readonly figure: string
  readonly verdict: "PASS" | "MISS" | "SKIP"
  readonly value: number | undefined
  readonly text: string
}

const TARGET = "llamero"
const ratio = { to: "node-http", how: "ratio" } as const
const added = { to: "direct", how: "added" } as const

const figures: ReadonlyArray<Figure> = [
  {
    says: "JSON at 32 connections",
    scenario: JSON_32,
    metric: "rate",
    against: ratio,
    atLeast: 1,
    unit: "x node-http",
  },
  { says: "64-chunk streams", scenario: STREAM_32, metric: "rate", against: ratio, atLeast: 0.95, unit: "x node-http" },
  { says: "tail p99", scenario: TAIL, metric: "p99", against: ratio, atMost: 2, unit: "x node-http" },
  { says: "paced, added p50", scenario: PACED, metric: "p50", against: added, atMost: 1, unit: "ms" },
  { says: "paced, added p95", scenario: PACED, metric: "p95", against: added, atMost: 3, unit: "ms" },
  { says: "open streams, RSS", scenario: SLOW, metric: "rss", against: ratio, atMost: 1.5, unit: "x node-http" },
  { says: "ready", scenario: READY, metric: "p50", atMost: 3000, unit: "ms" },
  { says: "idle RSS", scenario: READY, metric: "rss", atMost: 130, unit: "MiB" },
]

/** A load that was not fully answered proves nothing, however fast it was. */
const faults = (results: Results, scenario: string): number =>
  results.filter((row) => row.scenario === scenario && row.target === TARGET)
    .flatMap(({ samples }) => samples).reduce((sum, { errors }) => sum + errors, 0)

/** Whether another program used the proxy's core in a round of either side. */
const disturbed = (results: Results, scenario: string, to: string | undefined): boolean =>
  results.filter((row) => row.scenario === scenario && (row.target === TARGET || row.target === to))
    .flatMap(({ samples }) => samples).some(({ others }) => (others ?? 0) > DISTURBED)

export const verdicts = (results: Results): ReadonlyArray<Verdict> =>
  figures.map(({ says, scenario, metric, against, atLeast, atMost, unit }) => {
    const wanted = atLeast === undefined ? `<= ${atMost}` : `>= ${atLeast}`
    const value = against
      ? compared(results, { scenario, target: TARGET, metric, ...against })?.median
      : median(results, scenario, TARGET, metric)
    if (value === undefined) {
      return { figure: says, verdict: "SKIP", value, text: `SKIP  ${says}: not measured (wanted ${wanted} ${unit})` }
    }
    const wrong = faults(results, scenario)
    const holds = wrong === 0 && value >= (atLeast ?? -Infinity) && value <= (atMost ?? Infinity)
    const verdict = holds ? "PASS" : "MISS"
    const note = (wrong === 0 ? "" : `; ${wrong} errors`) +
      (disturbed(results, scenario, against?.to) ? "; disturbed, measure again" : "")
    return {
      figure: says,
      verdict,
      value,
      text: `${verdict}  ${says}: ${value.toFixed(2)} ${unit} (wanted ${wanted}${note})`,
    }
  })
