/**
 * Prometheus' text format, made in parts: the metrics of a big fleet are megabytes of text, and other work must be done
 * in between.
 *
 * @since 0.1.0
 */
import { Context, Metric } from "effect"
import { PrometheusMetrics } from "effect/observability"

/** Lines that are made in one part: about a millisecond. @category constants @since 0.1.0 */
export const linesMax = 2000

/** Series of one part; a histogram has up to 19 lines. @category constants @since 0.1.0 */
export const seriesMax = 200

/** A metric whose values are read at the scrape. @category models @since 0.1.0 */
export interface Read {
  readonly name: string
  readonly help: string
  readonly type: "gauge" | "counter"
}

/** @category models @since 0.1.0 */
export type Labels = Readonly<Record<string, string>>

/** A value of a label as both text formats write it. @category conversions @since 0.1.0 */
export const escaped = (value: string): string =>
  /[\\"\n]/.test(value) ? value.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n") : value

const labelled = (labels: Labels): string => {
  let text = ""
  for (const name in labels) text += `${text === "" ? "{" : ","}${name}="${escaped(labels[name]!)}"`
  return text === "" ? "" : `${text}}`
}

/** A number as both text formats write it. @category conversions @since 0.1.0 */
export const numeral = (value: number | bigint): string =>
  value === Infinity ? "+Inf" : value === -Infinity ? "-Inf" : String(value)

/**
 * The values of one scrape. The metrics and their series keep the order in which they were first set; a value that is
 * set again replaces the one before.
 *
 * @category models
 * @since 0.1.0
 */
export class Readings {
  private readonly families = new Map<Read, Map<string, number>>()
  /** Values that were set so far. */
  count = 0

  set(metric: Read, value: number, labels: Labels = {}): void {
    let family = this.families.get(metric)
    if (family === undefined) this.families.set(metric, family = new Map())
    family.set(labelled(labels), value)
    this.count++
  }

  /** The text, in parts of at most `linesMax` lines; in OpenMetrics, the family of a counter has no `_total`. */
  *parts(openMetrics = false): Generator<string, void> {
    for (const [{ help, name, type }, family] of this.families) {
      const named = type === "counter" ? name.replace(/_total$/, "") : name
      let text = openMetrics
        ? `# TYPE ${named} ${type}\n# HELP ${named} ${help}\n`
        : `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n`
      let lines = 0
      for (const [labels, value] of family) {
        text += `${name}${labels} ${numeral(value)}\n`
        if (++lines % linesMax > 0) continue
        yield text
        text = ""
      }
      yield text
    }
  }
}

type Registry = Context.Service.Shape<typeof Metric.MetricRegistry>

const family = (id: string): string => id.replaceAll(/[^a-zA-Z0-9_:]/g, "_").replaceAll(/_+/g, "_")

/** Lines with the name and the type of a family, which only the first part of it has. */
const headless = (text: string): string => {
  let from = 0
  while (text[from] === "#") from = text.indexOf("\n", from) + 1
  return text.slice(from)
}

/** The text of the metrics in the registry of `context`, in parts. @category conversions @since 0.1.0 */
export function* registryParts(context: Context.Context<never>): Generator<string, void> {
  const registry: Registry = Context.get(context, Metric.MetricRegistry)
  const families = new Map<string, Array<[string, Registry extends Map<string, infer M> ? M : never]>>()
  for (const [key, series] of registry) {
    const name = family(series.id)
    const known = families.get(name)
    if (known === undefined) families.set(name, [[key, series]])
    else known.push([key, series])
  }
  for (const all of families.values()) {
    for (let from = 0; from < all.length; from += seriesMax) {
      const part = new Map(all.slice(from, from + seriesMax))
      const text = PrometheusMetrics.formatUnsafe(Context.add(context, Metric.MetricRegistry, part))
      yield from === 0 ? text : headless(text)
    }
  }
}
