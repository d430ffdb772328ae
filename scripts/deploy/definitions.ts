/** The metrics that there are, from their generated list in `docs/metrics.md`. */
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { root } from "../exports.ts"

export interface Definition {
  readonly name: string
  readonly type: string
  readonly labels: ReadonlyArray<string>
  readonly meaning: string
}

const list = readFileSync(join(root, "docs/metrics.md"), "utf8").replaceAll("\n  ", " ")

export const definitions: ReadonlyMap<string, Definition> = new Map(
  Array.from(
    list.matchAll(/^- `(llamero_\w+)` \((\w+)((?:, `\w+`)*)\): (.*)$/gm),
    ([, name = "", type = "", labels = "", meaning = ""]) => [
      name,
      { name, type, labels: Array.from(labels.matchAll(/`(\w+)`/g), ([, label = ""]) => label), meaning },
    ],
  ),
)

/** The metrics that a query names, without the suffixes of histograms. */
export const metricsOf = (expr: string): ReadonlyArray<string> =>
  Array.from(new Set(expr.match(/\bllamero_\w+/g)), (name) => name.replace(/_(?:bucket|sum|count)$/, ""))

/** The definition of a metric. Throws for a metric that there is not. */
export const definitionOf = (name: string): Definition => {
  const found = definitions.get(name)
  if (found === undefined) throw new Error(`no metric is called ${name}`)
  return found
}

const units: ReadonlyArray<readonly [RegExp, string]> = [
  [/_tokens_per_second$/, "tokens/s"],
  [/_seconds$/, "s"],
  [/_bytes$/, "bytes"],
  [/_celsius$/, "celsius"],
  [/_watts$/, "watt"],
  [/_ratio$/, "percentunit"],
]

/** Grafana's unit of a query, from the unit in the metric's name: a rate of a counter is per second. */
export const unitOf = (expr: string): string => {
  const [name = ""] = metricsOf(expr)
  const unit = units.find(([ending]) => ending.test(name))?.[1]
  return unit ?? (/\b(?:rate|irate)\(/.test(expr) ? "cps" : "short")
}
