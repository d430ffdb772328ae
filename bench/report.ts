import { compared, over, type Results, type Row } from "./results.ts"
import type { Scenario } from "./scenarios.ts"
import type { Spread } from "./statistics.ts"

const columns = ["load", "target", "req/s (min..max)", "p50 ms", "p95 ms", "p99 ms", "CPU us/req", "core", "RSS MiB"]
const lastColumns = ["compared (min..max)", "errors"]

const figure = (value: number, digits: number) =>
  value.toLocaleString("en", { minimumFractionDigits: digits, maximumFractionDigits: digits })

const plain = (value: Spread | undefined, digits: number) => value ? figure(value.median, digits) : "-"

const spreadOut = (value: Spread | undefined, digits: number) =>
  value ? `${figure(value.median, digits)} (${figure(value.min, digits)}..${figure(value.max, digits)})` : "-"

const comparison = (results: Results, { name, compare }: Scenario, target: string): string => {
  if (!compare || target === compare.to) return "-"
  const { metrics, to, how } = compare
  return metrics.map((metric) => {
    const value = compared(results, { scenario: name, target, metric, to, how })
    if (!value) return "-"
    const what = metric === "rate" ? "" : `${metric} `
    return how === "ratio" ? `${what}x ${spreadOut(value, 2)}` : `${what}+ ${spreadOut(value, 2)} ms`
  }).join(", ")
}

const cells = (results: Results, scenario: Scenario, { target, samples, failed }: Row): ReadonlyArray<string> => {
  const errors = samples.reduce((sum, sample) => sum + sample.errors, 0)
  const core = over(samples, "core")
  return [
    scenario.name,
    target,
    spreadOut(over(samples, "rate"), 0),
    plain(over(samples, "p50"), 2),
    plain(over(samples, "p95"), 2),
    plain(over(samples, "p99"), 2),
    plain(over(samples, "cpu"), 0),
    core ? `${figure(core.median * 100, 0)} %` : "-",
    plain(over(samples, "rss"), 0),
    comparison(results, scenario, target),
    failed === undefined ? String(errors) : `gave up: ${failed.split("\n")[0]}`,
  ]
}

/** A table in Markdown. */
export const table = (results: Results, scenarios: ReadonlyArray<Scenario>): string => {
  const rows = [
    [...columns, ...lastColumns],
    ...scenarios.flatMap((scenario) =>
      results.filter((row) => row.scenario === scenario.name).map((row) => cells(results, scenario, row))
    ),
  ]
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)))
  const line = (row: ReadonlyArray<string>) =>
    `| ${row.map((cell, column) => cell.padEnd(widths[column]!)).join(" | ")} |`
  const [header, ...body] = rows
  return [line(header!), line(widths.map((width) => "-".repeat(width))), ...body.map(line)].join("\n")
}
