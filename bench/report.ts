/** The tables that a run prints, in Markdown. */
import type { Verdict } from "./figures.ts"
import { compared, errorsOf, otherSide, over, type Results, type Row } from "./results.ts"
import type { Metric, Scenario } from "./scenario.ts"
import type { Spread } from "./statistics.ts"

type Shown = Pick<Scenario, "title" | "name" | "compares">

const figure = (value: number, digits: number) =>
  value.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits })

const spreadOut = ({ max, median, min }: Spread, digits: number) =>
  figure(median, digits) + (min === max ? "" : ` (${figure(min, digits)}..${figure(max, digits)})`)

interface Column {
  readonly name: string
  readonly metric: Metric
  readonly show: (value: Spread) => string
}

const middle = (digits: number) => ({ median }: Spread) => figure(median, digits)

const columns: ReadonlyArray<Column> = [
  { name: "req/s", metric: "rate", show: (value) => spreadOut(value, 0) },
  { name: "p50 ms", metric: "p50", show: middle(2) },
  { name: "p95 ms", metric: "p95", show: middle(2) },
  { name: "p99 ms", metric: "p99", show: (value) => spreadOut(value, 2) },
  { name: "CPU us/req", metric: "cpu", show: middle(0) },
  { name: "core", metric: "core", show: ({ median }) => `${figure(median * 100, 0)} %` },
  { name: "ready ms", metric: "ready", show: (value) => spreadOut(value, 0) },
  { name: "RSS MiB", metric: "rss", show: (value) => spreadOut(value, 0) },
]

/** Every comparison of a scenario, by the name of its column. */
const comparisons = (scenario: Shown) =>
  (scenario.compares ?? []).flatMap((compare) =>
    compare.metrics.map((metric) => {
      const what = { rate: "req/s", rss: "RSS" }[metric as string] ?? metric
      return { compare, metric, name: `${what} ${compare.how === "ratio" ? "/" : "-"} ${compare.says}` }
    })
  )

const comparison = (results: Results, scenario: Shown, target: string, column: string): string => {
  const found = comparisons(scenario).find(({ name }) => name === column)
  if (found === undefined) return "-"
  const { compare, metric } = found
  const to = otherSide({ scenario: scenario.name, target }, compare)
  if (to.scenario === scenario.name && to.target === target) return "-"
  const value = compared(results, { scenario: scenario.name, target, metric, to, how: compare.how })
  return value === undefined ? "-" : spreadOut(value, 2)
}

/** Rows of cells as a table. The first row is the head. */
export const markdown = (rows: ReadonlyArray<ReadonlyArray<string>>): string => {
  const [head, ...body] = rows
  const widths = head!.map((_, column) => Math.max(3, ...rows.map((row) => row[column]!.length)))
  const line = (row: ReadonlyArray<string>) =>
    `| ${row.map((cell, column) => cell.padEnd(widths[column]!)).join(" | ")} |`
  return [line(head!), line(widths.map((width) => "-".repeat(width))), ...body.map(line)].join("\n")
}

const unique = <A>(all: ReadonlyArray<A>): ReadonlyArray<A> => [...new Set(all)]

/** The table of one group. It has only the columns in which there is something. */
const groupTable = (results: Results, scenarios: ReadonlyArray<Shown>): string => {
  const rows = scenarios.flatMap((scenario) =>
    results.filter((row) => row.scenario === scenario.name).map((row) => ({ scenario, row }))
  )
  const used = columns.filter(({ metric }) => rows.some(({ row }) => over(row.samples, metric) !== undefined))
  const compares = unique(scenarios.flatMap((scenario) => comparisons(scenario).map(({ name }) => name)))
    .filter((name) => rows.some(({ row, scenario }) => comparison(results, scenario, row.target, name) !== "-"))
  const cells = ({ row, scenario }: { readonly row: Row; readonly scenario: Shown }) => [
    scenario.name,
    row.target,
    ...used.map(({ metric, show }) => {
      const value = over(row.samples, metric)
      return value === undefined ? "-" : show(value)
    }),
    ...compares.map((name) => comparison(results, scenario, row.target, name)),
    row.failed === undefined ? String(errorsOf(row)) : "gave up",
  ]
  return markdown([["load", "target", ...used.map(({ name }) => name), ...compares, "errors"], ...rows.map(cells)])
}

/** One table for each group of loads. */
export const tables = (results: Results, scenarios: ReadonlyArray<Shown>): string =>
  unique(scenarios.map(({ title }) => title)).map((title) =>
    `### ${title}\n\n${groupTable(results, scenarios.filter((scenario) => scenario.title === title))}`
  ).join("\n\n")

const POINTS = 12

/** At most so many of the values, the first and the last among them. */
export const thinned = (history: ReadonlyArray<number>): ReadonlyArray<readonly [second: number, value: number]> => {
  const step = Math.max(1, (history.length - 1) / POINTS)
  const seconds = unique(Array.from({ length: POINTS + 1 }, (_, index) => Math.round(index * step)))
  return seconds.flatMap((second) => second < history.length ? [[second, history[second]!] as const] : [])
}

/** What no cell has room for: why a target gave up, and how memory grew. */
export const notes = (results: Results): ReadonlyArray<string> =>
  results.flatMap(({ failed, samples, scenario, target }) => [
    ...(failed === undefined ? [] : [`${scenario}: ${target} gave up: ${failed.split("\n")[0]}`]),
    ...samples.flatMap(({ behind = 0, faults = [], history }) => [
      ...(faults.length === 0 ? [] : [`${scenario}: ${target} failed in ${faults.join(", ")}`]),
      ...(history === undefined || history.every(Number.isNaN) ? [] : [
        `${scenario}: RSS of ${target} in MiB: ` +
        thinned(history).map(([second, mib]) => `${figure(mib, 0)} (${second} s)`).join(", "),
      ]),
      ...(behind === 0
        ? []
        : [`${scenario}: ${target} was so slow that ${behind} requests of its history were never sent`]),
    ]),
  ])

/** The goals, and which of them this run reached. */
export const verdictTable = (verdicts: ReadonlyArray<Verdict>): string => {
  const count = (kind: Verdict["verdict"]) => verdicts.filter(({ verdict }) => verdict === kind).length
  const rows = verdicts.map(({ figure, measured, note, verdict, wanted }) => [verdict, figure, measured, wanted, note])
  return [
    "### Goals",
    "",
    markdown([["verdict", "figure", "measured", "wanted", "note"], ...rows]),
    "",
    `${count("PASS")} reached, ${count("MISS")} missed, ${count("SKIP")} not measured`,
  ].join("\n")
}
