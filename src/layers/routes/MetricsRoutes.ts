/**
 * `/metrics` in Prometheus' text format.
 *
 * @since 0.1.0
 */
import { Context, Effect, Layer, Metric } from "effect"
import { HttpRouter, HttpServerResponse } from "effect/http"
import { PrometheusMetrics } from "effect/observability"
import { Admission } from "../../services/Admission.ts"
import { BackendHealth } from "../../services/BackendHealth.ts"
import { Breaker, type BreakerState } from "../../services/Breaker.ts"
import { Fleet } from "../../services/Fleet.ts"
import { Leases } from "../../services/Leases.ts"
import { ModelCatalog } from "../../services/ModelCatalog.ts"
import { Residency } from "../../services/Residency.ts"
import { Router } from "../../services/Router.ts"
import { RouterEvents } from "../../services/RouterEvents.ts"
import { VramLedger } from "../../services/VramLedger.ts"
import * as Respond from "./respond.ts"

const gauge = (name: string, description: string) => Metric.gauge(name, { description })

const activeRequests = gauge("llamero_active_requests", "Requests under way, queued ones included")
const backendHealthy = gauge("llamero_backend_healthy", "1 where the last probe found the backend healthy, else 0")
const breakerState = gauge(
  "llamero_breaker_state",
  "0 closed, 1 half-open, 2 open, 3 isolated; with a model where its own breaker is not closed",
)
const deviceAllocated = gauge(
  "llamero_device_allocated_bytes",
  "Memory of a device that is promised or taken by models",
)
const deviceCapacity = gauge("llamero_device_capacity_bytes", "Memory of a device that may be promised in all")
const deviceForeign = gauge("llamero_device_foreign_bytes", "Memory of a device that other programs take")
const deviceFree = gauge("llamero_device_free_bytes", "Free memory of a device in its last good reading")
const deviceReadable = gauge("llamero_device_readable", "1 where the last reading of a device was good, else 0")
const deviceTotal = gauge("llamero_device_total_bytes", "Memory of a device")
const eventsLost = Metric.counter("llamero_events_lost_total", {
  description: "Events overwritten before they were counted",
  incremental: true,
})
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
const streams = gauge("llamero_streams", "Streams a backend serves")

const level: Readonly<Record<BreakerState, number>> = { closed: 0, "half-open": 1, open: 2, isolated: 3 }

type Services =
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

/**
 * Reads all gauges now, into a registry of its own, so that a backend that has left the fleet leaves no series behind.
 */
const readings = (services: Context.Context<Services>) => (): Context.Context<never> => {
  const registry = Context.make(Metric.MetricRegistry, new Map())
  const set = (metric: Metric.Metric<number, unknown>, value: number, labels: Readonly<Record<string, string>> = {}) =>
    Metric.withAttributes(metric, labels).updateUnsafe(value, registry)
  const breaker = Context.get(services, Breaker)
  const catalog = Context.get(services, ModelCatalog)
  const health = Context.get(services, BackendHealth)
  const leases = Context.get(services, Leases)
  const residency = Context.get(services, Residency)

  set(activeRequests, Context.get(services, Router).active())
  set(eventsLost, Context.get(services, RouterEvents).lost())
  set(leasesHeld, leases.count())

  const queues = Context.get(services, Admission).queues()
  set(queueBytes, queues.reduce((sum, { bytes }) => sum + bytes, 0))
  // Zero, not a missing series: an alert on a missing series never fires and never clears.
  for (const { key } of catalog.models()) set(queueDepth, 0, { model: key })
  for (const { depth, model, oldestMillis } of queues) {
    set(queueDepth, depth, { model })
    set(queueOldest, oldestMillis / 1000, { model })
  }

  for (const { capacity, device, failure, foreign, free, held, total } of Context.get(services, VramLedger).devices()) {
    set(deviceReadable, failure === "" ? 1 : 0, { device })
    set(deviceAllocated, held, { device })
    // Unknown is a missing series, never 0.
    const known = [[deviceCapacity, capacity], [deviceForeign, foreign], [deviceFree, free], [
      deviceTotal,
      total,
    ]] as const
    for (const [metric, bytes] of known) if (bytes !== undefined) set(metric, bytes, { device })
  }

  for (const { backend: { id: backend } } of Context.get(services, Fleet).members()) {
    set(backendHealthy, health.status(backend).state === "healthy" ? 1 : 0, { backend })
    const view = leases.view.find(backend)
    set(streams, view?.streams ?? 0, { backend })
    const whole = level[breaker.state(backend)]
    set(breakerState, whole, { backend })
    for (const known of catalog.models()) {
      const { key: model, owners } = known
      if (owners.has(backend) && view !== undefined) set(concurrencyLimit, view.limitOf(known), { backend, model })
      const own = owners.has(backend) ? level[breaker.state(backend, model)] : 0
      if (own > whole) set(breakerState, own, { backend, model })
    }
    for (const { model, size, sizeVram, state } of residency.list(backend)) {
      set(modelResident, state === "loading" ? 0 : 1, { backend, model })
      if (size !== undefined) set(modelBytes, size, { backend, model })
      if (sizeVram !== undefined) set(modelVram, sizeVram, { backend, model })
    }
  }
  return registry
}

/**
 * **Details**
 *
 * First the metrics in the `MetricRegistry` that the layer is built with (`RouterMetrics`, and those of a deployer's
 * own code), then the gauges of the router, read at the moment of the scrape.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<never, never, HttpRouter.HttpRouter | Services> = HttpRouter.use(
  Effect.fnUntraced(function* (http) {
    const counted = yield* Effect.context<never>()
    const read = readings(yield* Effect.context<Services>())
    const events = yield* RouterEvents
    const metrics = Effect.sync(() => {
      // Counts the requests that settled before this scrape.
      events.flush()
      return HttpServerResponse.text(PrometheusMetrics.formatUnsafe(counted) + PrometheusMetrics.formatUnsafe(read()), {
        contentType: "text/plain; version=0.0.4; charset=utf-8",
      })
    })
    yield* http.addAll(Respond.on(["HEAD", "GET"], "/metrics", metrics))
  }),
)
