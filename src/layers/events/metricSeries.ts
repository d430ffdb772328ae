/**
 * The metrics of the router: their names, descriptions and labels.
 *
 * @since 0.1.0
 */
import { type Context, Metric } from "effect"
import { SweptMap } from "../../support/sweptMap.ts"

/** Values of labels by name. @category models @since 0.1.0 */
export type Labels = Readonly<Record<string, string>>

const counter = (name: string, description: string) => (attributes: Labels) =>
  Metric.counter(name, { description, incremental: true, attributes })

// From a shed, which takes less than a millisecond, to a long answer. Each default limit (30 s, 120 s, 300 s) is a
// boundary.
const boundaries = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300]
const seconds = (name: string, description: string) => (attributes: Labels) =>
  Metric.histogram(name, { description, boundaries, attributes })

/**
 * One metric for each combination of label values, made once. `Metric.withAttributes` on a shared metric would
 * compute its key again at each update with other labels than the update before. Series that are not counted any more
 * leave the registry: those of backends that have left, and of models that are gone.
 */
const series = <State>(make: (labels: Labels) => Metric.Metric<number, State>, context: Context.Context<never>) => {
  const known = new SweptMap<Metric.Metric<number, State>>({
    dropped: (metric) => Metric.removeUnsafe(metric, context),
  })
  return (input: number, labels: Labels): void => {
    const key = Object.values(labels).join("\u0000")
    known.getOrMake(key, () => make(labels)).updateUnsafe(input, context)
  }
}

/** @category models @since 0.1.0 */
export type MetricSeries = ReturnType<typeof make>

/** The series in the `MetricRegistry` of `context`. @category constructors @since 0.1.0 */
export const make = (context: Context.Context<never>) => {
  const counts = (name: string, description: string) => series(counter(name, description), context)
  const times = (name: string, description: string) => series(seconds(name, description), context)
  return {
    requests: counts("llamero_requests_total", "Requests settled"),
    duration: times("llamero_request_duration_seconds", "From arrival to the end of the answer"),
    wait: times("llamero_queue_wait_seconds", "From arrival to the last commit, of requests that had one"),
    firstByte: times("llamero_time_to_first_byte_seconds", "From sending to a backend's first byte"),
    sheds: counts("llamero_sheds_total", "Requests refused because of load"),
    attempts: counts("llamero_attempts_total", "Exchanges with backends, by how they ended"),
    retries: counts("llamero_retries_total", "Attempts after the first"),
    hedges: counts("llamero_hedges_total", "Second attempts beside slow first ones"),
    loads: counts("llamero_loads_total", "Loads of models that ended"),
    loading: times("llamero_load_duration_seconds", "Duration of loads that succeeded"),
    shadows: counts("llamero_shadow_decisions_total", "Decisions that a shadow placement was asked about"),
    spills: counts("llamero_spills_total", "Models found with layers in system memory"),
    coalesced: counts("llamero_coalesced_total", "Requests answered by another's upstream call"),
    cold: counts("llamero_cold_starts_total", "Requests that waited for a load of their model"),
    rewrites: counts("llamero_rewrites_total", "Options of clients that were not passed on"),
    breaker: counts("llamero_breaker_transitions_total", "Transitions of breakers"),
    health: counts("llamero_health_transitions_total", "Changes of backends' health"),
  }
}
