/**
 * Counters and histograms of the router. They are fed from its events, so that they cost a request nothing.
 *
 * @since 0.1.0
 */
import { Effect, Layer } from "effect"
import { isShed } from "../../services/Refusal.ts"
import { type Hedged, type RequestSettled, type RouterEvent, RouterEvents } from "../../services/RouterEvents.ts"
import * as MetricSeries from "./metricSeries.ts"

/**
 * The attempts of a request that failed have an event each. This counts the last one, which answered or which the
 * client left.
 */
const countLastAttempt = ({ attempts }: MetricSeries.MetricSeries, { settled }: RequestSettled): void => {
  const { backend, coalesced, outcome, result } = settled
  if (backend === undefined || coalesced !== undefined) return
  if (result === "answered" && outcome !== undefined) attempts(1, { backend, outcome: outcome.cause })
  // A client that left while a retry was waiting: the outcome is that of the attempt before, which had its own event.
  if (result === "canceled" && outcome === undefined) attempts(1, { backend, outcome: "client-gone" })
}

const countRequest = (series: MetricSeries.MetricSeries, event: RequestSettled): void => {
  const { attempts, coalesced: how, outcome, queuedMillis, refusal, result, status } = event.settled
  // An unknown name was chosen by the client. As a label it would let a client fill the registry.
  const model = event.known ? event.model : "unknown"
  const { route } = event
  series.requests(1, { route, model, result, status: `${Math.floor(status / 100)}xx` })
  series.duration(event.totalMillis / 1000, { route, model })
  if (attempts > 0) series.wait(queuedMillis / 1000, { model })
  if (how !== undefined) series.coalesced(1, { model, how })
  if (event.cold === true) series.cold(1, { model })
  for (const field of event.rewrote ?? []) series.rewrites(1, { field })
  if (attempts > 1) series.retries(attempts - 1, { model })
  if (how === undefined && outcome?.firstByteMillis !== undefined && event.settled.backend !== undefined) {
    series.firstByte(outcome.firstByteMillis / 1000, { model, backend: event.settled.backend })
  }
  const evicted = refusal?.reason === "DeadlineExceeded" && attempts === 0
  if (refusal !== undefined && (isShed(refusal) || evicted)) series.sheds(1, { model, reason: refusal.reason })
  countLastAttempt(series, event)
}

const countHedge = (series: MetricSeries.MetricSeries, { aborted, model, result }: Hedged): void => {
  series.hedges(1, { model, result })
  if (aborted === undefined) return
  series.attempts(1, { backend: aborted, outcome: result === "canceled" ? "client-gone" : "hedged" })
}

const count = (series: MetricSeries.MetricSeries, event: RouterEvent): void => {
  switch (event._tag) {
    case "RequestSettled":
      return countRequest(series, event)
    case "AttemptFailed":
      return series.attempts(1, { backend: event.backend, outcome: event.cause })
    case "Hedged":
      return countHedge(series, event)
    case "HealthChanged":
      return series.health(1, { backend: event.change.backend, to: event.change.status.state })
    case "BreakerMoved": {
      const { key, to } = event.transition
      return series.breaker(1, { backend: key.backend, model: key.model ?? "", to })
    }
    case "LoadEnded": {
      const { backend, error, millis, model, spilled } = event.load
      const result = error !== undefined ? "failure" : spilled === true ? "spill" : "success"
      series.loads(1, { backend, model, result })
      if (result === "success") series.loading(millis / 1000, { backend, model })
      return
    }
    case "Shadowed":
      return series.shadows(1, { model: event.model, result: event.result, shadow: event.shadow })
    case "AdminChanged":
    case "Placed":
      return
    case "ModelSpilled":
      return series.spills(1, { backend: event.spill.backend, model: event.spill.model })
  }
}

/**
 * Keeps the `llamero_*` counters and histograms in the `MetricRegistry` that the layer is built with. `/metrics` and
 * all other exporters of Effect read them there.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<never, never, RouterEvents> = Layer.effectDiscard(Effect.gen(function* () {
  const events = yield* RouterEvents
  const series = MetricSeries.make(yield* Effect.context<never>())
  yield* events.subscribe((event) => count(series, event))
}))
