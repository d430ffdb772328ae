/**
 * The OpenMetrics text format, with exemplars. Effect writes Prometheus' older format only, which has none.
 *
 * @since 0.1.0
 */
import { Array as Arr, type Context, Metric } from "effect"
import { type Exemplar, inRegistry, keyOf } from "../../support/exemplars.ts"
import { escaped, numeral, seriesMax } from "./metricText.ts"

/** @internal */
export const contentType = "application/openmetrics-text; version=1.0.0; charset=utf-8"

const nameOf = (name: string): string => name.replaceAll(/[^a-zA-Z0-9_:]/g, "_")

const labelsOf = (labels: Readonly<Record<string, string>>, more?: readonly [string, string]): string => {
  const all = more === undefined ? Object.entries(labels) : [...Object.entries(labels), more]
  const shown = all.filter(([name]) => name !== "unit" && name !== "time_unit")
    .map(([name, value]) => `${nameOf(name)}="${escaped(value)}"`)
  return shown.length === 0 ? "" : `{${shown.join(",")}}`
}

/** The standard allows 128 characters for all labels of an exemplar. A longer id is left out. */
const exemplarMax = 128

const exemplarOf = (exemplar: Exemplar | undefined): string => {
  if (exemplar === undefined) return ""
  const { at, requestId, traceId, value } = exemplar
  const all = [["request_id", requestId], ["trace_id", traceId ?? ""]] as const
  let left = exemplarMax
  const labels: Record<string, string> = {}
  for (const [name, id] of all) {
    const length = name.length + Array.from(id).length
    if (id === "" || length > left) continue
    left -= length
    labels[name] = id
  }
  return Object.keys(labels).length === 0 ? "" : ` # ${labelsOf(labels)} ${value} ${at / 1000}`
}

type Snapshot = Metric.Metric.Snapshot

/** The lines of one series. A counter's family has no `_total`, its sample has. */
const linesOf = (family: string, metric: Snapshot, context: Context.Context<never>): ReadonlyArray<string> => {
  const labels = metric.attributes ?? {}
  switch (metric.type) {
    case "Counter":
      return [`${family}_total${labelsOf(labels)} ${numeral(metric.state.count)}`]
    case "Gauge":
      return [`${family}${labelsOf(labels)} ${numeral(metric.state.value)}`]
    case "Frequency":
      return Array.from(
        metric.state.occurrences,
        ([key, count]) => `${family}_total${labelsOf(labels, ["key", key])} ${count}`,
      )
    case "Summary":
      return [
        ...metric.state.quantiles.flatMap(([quantile, value]) =>
          value === undefined ? [] : [`${family}${labelsOf(labels, ["quantile", String(quantile)])} ${value}`]
        ),
        `${family}_sum${labelsOf(labels)} ${numeral(metric.state.sum)}`,
        `${family}_count${labelsOf(labels)} ${metric.state.count}`,
      ]
    case "Histogram": {
      const exemplars = inRegistry(context).get(keyOf(metric.id, labels))
      const { buckets, count, sum } = metric.state
      const edges = [...buckets.filter(([boundary]) => boundary !== Infinity), [Infinity, count] as const]
      return [
        ...edges.map(([boundary, below]) =>
          `${family}_bucket${labelsOf(labels, ["le", numeral(boundary)])} ${below}` +
          exemplarOf(exemplars?.of(boundary))
        ),
        `${family}_sum${labelsOf(labels)} ${numeral(sum)}`,
        `${family}_count${labelsOf(labels)} ${count}`,
      ]
    }
  }
}

const types = { Counter: "counter", Gauge: "gauge", Histogram: "histogram", Summary: "summary", Frequency: "counter" }

/** Ends a text. @internal */
export const end = "# EOF\n"

/** The text of the metrics in the registry of `context`, in parts, without `end`. @internal */
export function* parts(context: Context.Context<never>): Generator<string, void> {
  for (const [id, series] of Object.entries(Arr.groupBy(Metric.snapshotUnsafe(context), ({ id }) => nameOf(id)))) {
    const type = types[series[0]!.type]
    const family = type === "counter" ? id.replace(/_total$/, "") : id
    const { description } = series[0]!
    const help = description === undefined ? "" : `# HELP ${family} ${escaped(description)}\n`
    let text = `# TYPE ${family} ${type}\n${help}`
    for (let from = 0; from < series.length; from += seriesMax) {
      for (const one of series.slice(from, from + seriesMax)) text += `${linesOf(family, one, context).join("\n")}\n`
      yield text
      text = ""
    }
  }
}

/** The whole text of the metrics in the registries of these contexts. No metric may be in two of them. @internal */
export const format = (contexts: ReadonlyArray<Context.Context<never>>): string =>
  contexts.flatMap((context) => Array.from(parts(context))).join("") + end

/** Whether a client prefers OpenMetrics to Prometheus' own text format, as its `Accept` says. @internal */
export const isWanted = (accept: string | undefined): boolean => {
  const quality = (type: string): number => {
    const found = (accept ?? "").split(",").map((part) => part.split(";").map((text) => text.trim().toLowerCase()))
      .filter(([name]) => name === type)
    return Math.max(0, ...found.map((parts) => Number(parts.find((part) => part.startsWith("q="))?.slice(2) ?? 1)))
  }
  const wanted = quality("application/openmetrics-text")
  return wanted > 0 && wanted >= quality("text/plain")
}
