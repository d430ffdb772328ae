/**
 * The registry of metrics together with the gauges of the router, for exporters that read a registry.
 *
 * @since 0.1.0
 */
import { Context, Metric } from "effect"
import { RouterEvents } from "../../services/RouterEvents.ts"
import type { Set, Taker } from "./gauge.ts"
import type * as MetricText from "./metricText.ts"
import * as RouterGauges from "./routerGauges.ts"

type Registry = Context.Service.Shape<typeof Metric.MetricRegistry>
type Series = Registry extends Map<string, infer M> ? M : never

/** A series whose value was read already. */
const series = ({ help, name, type }: MetricText.Read, value: number, attributes: MetricText.Labels): Series => {
  const state = type === "counter" ? { count: value, incremental: true } : { value }
  return {
    id: name,
    type: type === "counter" ? "Counter" : "Gauge",
    description: help,
    attributes,
    hooks: { get: () => state, update: () => {}, modify: () => {} },
  }
}

/** The values of one reading, by metric and labels. */
class Values implements Taker {
  readonly found = new Map<string, Series>()
  count = 0

  readonly set: Set = (metric, value, labels = {}) => {
    this.count++
    this.found.set([metric.name, ...Object.entries(labels).flat()].join("\u0000"), series(metric, value, labels))
  }
}

/**
 * The series of another registry, then the gauges, which are read whenever this registry is. Like the other one, it can
 * be given as `MetricRegistry` to an exporter, which only reads it.
 *
 * @internal
 */
export class GaugeRegistry extends Map<string, Series> {
  private readonly counted: Registry
  private readonly services: Context.Context<RouterGauges.Services>

  constructor(counted: Registry, services: Context.Context<RouterGauges.Services>) {
    super()
    this.counted = counted
    this.services = services
  }

  override *values(): MapIterator<Series> {
    // Counts the requests that settled before this reading.
    Context.get(this.services, RouterEvents).flush()
    yield* this.counted.values()
    const values = new Values()
    for (const _ of RouterGauges.read(this.services, values)) { /* An export has no pauses. */ }
    yield* values.found.values()
  }
}
