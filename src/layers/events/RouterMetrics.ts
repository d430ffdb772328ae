/**
 * Counters and histograms of the router, fed from its events, so that a request pays nothing for them.
 *
 * @since 0.1.0
 */
import { Context, Effect, Layer, Metric } from "effect"
import { isShed } from "../../services/Refusal.ts"
import { type RequestSettled, type RouterEvent, RouterEvents } from "../../services/RouterEvents.ts"

type Labels = Readonly<Record<string, string>>

const counter = (name: string, description: string) => (attributes: Labels) =>
  Metric.counter(name, { description, incremental: true, attributes })

// From a shed in microseconds to a long generation; a bucket edge at each default limit (30 s, 120 s, 300 s).
const boundaries = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300]
const seconds = (name: string, description: string) => (attributes: Labels) =>
  Metric.histogram(name, { description, boundaries, attributes })

/**
 * One metric for each combination of labels, made once. Labels that are added to a shared metric at each update (`Metric.withAttributes`) would have its key
 * computed anew whenever they differ from those of the update before.
 */
const series = <State>(make: (labels: Labels) => Metric.Metric<number, State>, context: Context.Context<never>) => {
  const known = new Map<string, Metric.Metric<number, State>>()
  return (input: number, labels: Labels): void => {
    const key = Object.values(labels).join("\u0000")
    let labelled = known.get(key)
    if (labelled === undefined) known.set(key, labelled = make(labels))
    labelled.updateUnsafe(input, context)
  }
}

const make = (context: Context.Context<never>): (event: RouterEvent) => void => {
  const requests = series(counter("llamero_requests_total", "Requests settled"), context)
  const duration = series(seconds("llamero_request_duration_seconds", "From arrival to the end of the answer"), context)
  const wait = series(
    seconds("llamero_queue_wait_seconds", "From arrival to the last commit, of requests that had one"),
    context,
  )
  const firstByte = series(
    seconds("llamero_time_to_first_byte_seconds", "From sending to a backend's first byte"),
    context,
  )
  const sheds = series(counter("llamero_sheds_total", "Requests refused because of load"), context)
  const attempts = series(counter("llamero_attempts_total", "Exchanges with backends, by how they ended"), context)
  const retries = series(counter("llamero_retries_total", "Attempts after the first"), context)
  const hedges = series(counter("llamero_hedges_total", "Second attempts beside slow first ones"), context)
  const loads = series(counter("llamero_loads_total", "Loads of models that ended"), context)
  const loading = series(seconds("llamero_load_duration_seconds", "Duration of loads that succeeded"), context)
  const shadows = series(
    counter("llamero_shadow_decisions_total", "Decisions that a shadow placement was asked about"),
    context,
  )
  const spills = series(counter("llamero_spills_total", "Models found with layers in system memory"), context)
  const coalesced = series(counter("llamero_coalesced_total", "Requests answered by another's upstream call"), context)
  const cold = series(counter("llamero_cold_starts_total", "Requests that waited for a load of their model"), context)
  const rewrites = series(counter("llamero_rewrites_total", "Options of clients that were not passed on"), context)
  const breaker = series(counter("llamero_breaker_transitions_total", "Transitions of breakers"), context)
  const health = series(counter("llamero_health_transitions_total", "Changes of backends' health"), context)

  const attempted = (backend: string, outcome: string) => attempts(1, { backend, outcome })

  /** The attempts that failed had an event each; what is left is the one that answered, or that the client gave up. */
  const lastAttempt = ({ settled }: RequestSettled): void => {
    const { backend, coalesced, outcome, result } = settled
    if (backend === undefined || coalesced !== undefined) return
    if (result === "answered" && outcome !== undefined) attempted(backend, outcome.cause)
    // One who left while another attempt was waiting for its turn has the outcome of the one before, which had its event.
    if (result === "canceled" && outcome === undefined) attempted(backend, "client-gone")
  }

  const settled = (event: RequestSettled): void => {
    const { attempts, coalesced: how, outcome, queuedMillis, refusal, result, status } = event.settled
    // A name that no backend has comes from outside: as a label it would let anybody fill the registry.
    const model = event.known ? event.model : "unknown"
    const { route } = event
    requests(1, { route, model, result, status: `${Math.floor(status / 100)}xx` })
    duration(event.totalMillis / 1000, { route, model })
    if (attempts > 0) wait(queuedMillis / 1000, { model })
    if (how !== undefined) coalesced(1, { model, how })
    if (event.cold === true) cold(1, { model })
    for (const field of event.rewrote ?? []) rewrites(1, { field })
    if (attempts > 1) retries(attempts - 1, { model })
    if (how === undefined && outcome?.firstByteMillis !== undefined && event.settled.backend !== undefined) {
      firstByte(outcome.firstByteMillis / 1000, { model, backend: event.settled.backend })
    }
    const evicted = refusal?.reason === "DeadlineExceeded" && attempts === 0
    if (refusal !== undefined && (isShed(refusal) || evicted)) sheds(1, { model, reason: refusal.reason })
    lastAttempt(event)
  }

  return (event) => {
    switch (event._tag) {
      case "RequestSettled":
        return settled(event)
      case "AttemptFailed":
        return attempted(event.backend, event.cause)
      case "Hedged":
        hedges(1, { model: event.model, result: event.result })
        if (event.aborted !== undefined) {
          attempted(event.aborted, event.result === "canceled" ? "client-gone" : "hedged")
        }
        return
      case "HealthChanged":
        return health(1, { backend: event.change.backend, to: event.change.status.state })
      case "BreakerMoved": {
        const { key, to } = event.transition
        return breaker(1, { backend: key.backend, model: key.model ?? "", to })
      }
      case "LoadEnded": {
        const { backend, error, millis, model, spilled } = event.load
        loads(1, { backend, model, result: error !== undefined ? "failure" : spilled === true ? "spill" : "success" })
        if (error === undefined && spilled !== true) loading(millis / 1000, { backend, model })
        return
      }
      case "Shadowed":
        return shadows(1, { model: event.model, result: event.result, shadow: event.shadow })
      case "ModelSpilled":
        return spills(1, { backend: event.spill.backend, model: event.spill.model })
    }
  }
}

/**
 * Keeps `llamero_*` counters and histograms in the `MetricRegistry` that the layer is built with, where `/metrics` and every other exporter of Effect find them.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<never, never, RouterEvents> = Layer.effectDiscard(Effect.gen(function* () {
  const events = yield* RouterEvents
  yield* events.subscribe(make(yield* Effect.context<never>()))
}))
