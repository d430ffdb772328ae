/**
 * The gauges of the router, read at the moment of a scrape.
 *
 * @since 0.1.0
 */
import { Context } from "effect"
import { Admission } from "../../services/Admission.ts"
import { BackendHealth } from "../../services/BackendHealth.ts"
import { Breaker, type BreakerState } from "../../services/Breaker.ts"
import { type Backend, Fleet } from "../../services/Fleet.ts"
import { Leases } from "../../services/Leases.ts"
import { ModelCatalog } from "../../services/ModelCatalog.ts"
import { Residency } from "../../services/Residency.ts"
import { Router } from "../../services/Router.ts"
import { RouterEvents } from "../../services/RouterEvents.ts"
import { VramLedger } from "../../services/VramLedger.ts"
import * as DeviceGauges from "./deviceGauges.ts"
import * as MetricText from "./metricText.ts"
import * as ProcessGauges from "./processGauges.ts"
import { gauge, type Set, type Taker } from "./gauge.ts"

const activeRequests = gauge("llamero_active_requests", "Requests under way, queued ones included")
const backendHealthy = gauge("llamero_backend_healthy", "1 where the last probe found the backend healthy, else 0")
const breakerState = gauge(
  "llamero_breaker_state",
  "0 closed, 1 half-open, 2 open, 3 isolated; with a model where its own breaker is not closed",
)
const eventsLost: MetricText.Read = {
  name: "llamero_events_lost_total",
  help: "Events overwritten before they were counted",
  type: "counter",
}
const concurrencyLimit = gauge("llamero_concurrency_limit", "Streams of one model that a backend is given at a time")
const leasesHeld = gauge("llamero_leases", "Leases held")
const modelBytes = gauge("llamero_model_bytes", "Memory of a model, on and off the GPU")
const modelResident = gauge(
  "llamero_model_resident",
  "1 where the model is in the backend's memory, 0 while it is loading",
)
const modelVram = gauge("llamero_model_vram_bytes", "GPU memory of a model")
const queueBytes = gauge("llamero_queue_bytes", "Bytes of bodies that wait")
const queueDepth = gauge("llamero_queue_depth", "Requests that wait")
const queueOldest = gauge("llamero_queue_oldest_seconds", "How long the first in the queue has waited")
const draining = gauge("llamero_draining", "1 while the router finishes what it has and takes no more, else 0")
const price = gauge("llamero_backend_price_per_hour", "What an hour of the backend costs, in the unit of the fleet")
const retryBudget = gauge("llamero_retry_budget", "Retries that the budget has left")
const streams = gauge("llamero_streams", "Streams a backend serves")

const level: Readonly<Record<BreakerState, number>> = { closed: 0, "half-open": 1, open: 2, isolated: 3 }

/** The services that the gauges are read from. @internal */
export type Services =
  | Admission
  | BackendHealth
  | Breaker
  | Fleet
  | Leases
  | ModelCatalog
  | Residency
  | Router
  | RouterEvents
  | VramLedger

const readQueues = (services: Context.Context<Services>, set: Set): void => {
  const queues = Context.get(services, Admission).queues()
  set(queueBytes, queues.reduce((sum, { bytes }) => sum + bytes, 0))
  // Zero, not a missing series: an alert on a missing series never fires and never clears.
  for (const { key } of Context.get(services, ModelCatalog).models()) set(queueDepth, 0, { model: key })
  for (const { depth, model, oldestMillis } of queues) {
    set(queueDepth, depth, { model })
    set(queueOldest, oldestMillis / 1000, { model })
  }
}

const readBackend = (services: Context.Context<Services>, { id: backend, price: hourly }: Backend, set: Set): void => {
  const breaker = Context.get(services, Breaker)
  set(backendHealthy, Context.get(services, BackendHealth).status(backend).state === "healthy" ? 1 : 0, { backend })
  const view = Context.get(services, Leases).view.find(backend)
  if (hourly !== undefined) set(price, hourly, { backend })
  set(streams, view?.streams ?? 0, { backend })
  const whole = level[breaker.state(backend)]
  set(breakerState, whole, { backend })
  for (const known of Context.get(services, ModelCatalog).models()) {
    const { key: model, owners } = known
    if (!owners.has(backend)) continue
    if (view !== undefined) set(concurrencyLimit, view.limitOf(known), { backend, model })
    const own = level[breaker.state(backend, model)]
    if (own > whole) set(breakerState, own, { backend, model })
  }
  for (const { model, size, sizeVram, state } of Context.get(services, Residency).list(backend)) {
    set(modelResident, state === "loading" ? 0 : 1, { backend, model })
    if (size !== undefined) set(modelBytes, size, { backend, model })
    if (sizeVram !== undefined) set(modelVram, sizeVram, { backend, model })
  }
}

/**
 * Reads all gauges now, and not before: a backend that has left the fleet leaves no series behind. It yields where
 * other work may be done.
 *
 * @internal
 */
export function* read(services: Context.Context<Services>, to: Taker): Generator<void, void> {
  const set: Set = (metric, value, labels) => to.set(metric, value, labels)
  const router = Context.get(services, Router)
  set(activeRequests, router.active())
  set(draining, router.draining() ? 1 : 0)
  const budget = router.retryBudget?.()
  if (budget !== undefined) set(retryBudget, budget)
  set(eventsLost, Context.get(services, RouterEvents).lost())
  set(leasesHeld, Context.get(services, Leases).count())
  readQueues(services, set)
  DeviceGauges.read(Context.get(services, VramLedger), set)
  ProcessGauges.read(set)
  let done = to.count
  for (const { backend } of Context.get(services, Fleet).members()) {
    readBackend(services, backend, set)
    if (to.count - done < MetricText.linesMax) continue
    done = to.count
    yield
  }
}
