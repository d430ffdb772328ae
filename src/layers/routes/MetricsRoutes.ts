/**
 * `/metrics` in Prometheus' text format.
 *
 * @since 0.1.0
 */
import { Context, Effect, type Layer } from "effect"
import { HttpRouter, HttpServerResponse } from "effect/http"
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
import * as MetricText from "./metricText.ts"
import * as Respond from "./respond.ts"

const gauge = (name: string, help: string): MetricText.Read => ({ name, help, type: "gauge" })

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
const streams = gauge("llamero_streams", "Streams a backend serves")

const level: Readonly<Record<BreakerState, number>> = { closed: 0, "half-open": 1, open: 2, isolated: 3 }

/** Characters of text that are made in one turn of the event loop. */
const partMax = 128 * 1024

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

const readQueues = (services: Context.Context<Services>, to: MetricText.Readings): void => {
  const queues = Context.get(services, Admission).queues()
  to.set(queueBytes, queues.reduce((sum, { bytes }) => sum + bytes, 0))
  // Zero, not a missing series: an alert on a missing series never fires and never clears.
  for (const { key } of Context.get(services, ModelCatalog).models()) to.set(queueDepth, 0, { model: key })
  for (const { depth, model, oldestMillis } of queues) {
    to.set(queueDepth, depth, { model })
    to.set(queueOldest, oldestMillis / 1000, { model })
  }
}

const readDevices = (services: Context.Context<Services>, to: MetricText.Readings): void => {
  for (const { capacity, device, failure, foreign, free, held, total } of Context.get(services, VramLedger).devices()) {
    to.set(deviceReadable, failure === "" ? 1 : 0, { device })
    to.set(deviceAllocated, held, { device })
    // Unknown is a missing series, never 0.
    const known = [[deviceCapacity, capacity], [deviceForeign, foreign], [deviceFree, free], [
      deviceTotal,
      total,
    ]] as const
    for (const [metric, bytes] of known) if (bytes !== undefined) to.set(metric, bytes, { device })
  }
}

const readBackend = (services: Context.Context<Services>, backend: string, to: MetricText.Readings): void => {
  const breaker = Context.get(services, Breaker)
  to.set(backendHealthy, Context.get(services, BackendHealth).status(backend).state === "healthy" ? 1 : 0, { backend })
  const view = Context.get(services, Leases).view.find(backend)
  to.set(streams, view?.streams ?? 0, { backend })
  const whole = level[breaker.state(backend)]
  to.set(breakerState, whole, { backend })
  for (const known of Context.get(services, ModelCatalog).models()) {
    const { key: model, owners } = known
    if (!owners.has(backend)) continue
    if (view !== undefined) to.set(concurrencyLimit, view.limitOf(known), { backend, model })
    const own = level[breaker.state(backend, model)]
    if (own > whole) to.set(breakerState, own, { backend, model })
  }
  for (const { model, size, sizeVram, state } of Context.get(services, Residency).list(backend)) {
    to.set(modelResident, state === "loading" ? 0 : 1, { backend, model })
    if (size !== undefined) to.set(modelBytes, size, { backend, model })
    if (sizeVram !== undefined) to.set(modelVram, sizeVram, { backend, model })
  }
}

/**
 * Reads all gauges now, and not before: a backend that has left the fleet leaves no series behind. It yields where
 * other work may be done.
 */
function* readings(services: Context.Context<Services>, to: MetricText.Readings): Generator<void, void> {
  to.set(activeRequests, Context.get(services, Router).active())
  to.set(eventsLost, Context.get(services, RouterEvents).lost())
  to.set(leasesHeld, Context.get(services, Leases).count())
  readQueues(services, to)
  readDevices(services, to)
  let read = to.count
  for (const { backend: { id } } of Context.get(services, Fleet).members()) {
    readBackend(services, id, to)
    if (to.count - read < MetricText.linesMax) continue
    read = to.count
    yield
  }
}

/** The whole text. A text that is long is made in several turns of the event loop. */
const scrape = Effect.fnUntraced(function* (counted: Context.Context<never>, services: Context.Context<Services>) {
  const parts: Array<string> = []
  let length = 0
  const add = (part: string): boolean => {
    parts.push(part)
    length += part.length
    if (length < partMax) return false
    length = 0
    return true
  }
  for (const part of MetricText.registryParts(counted)) if (add(part)) yield* Effect.yieldNow
  const read = new MetricText.Readings()
  for (const _ of readings(services, read)) yield* Effect.yieldNow
  for (const part of read.parts()) if (add(part)) yield* Effect.yieldNow
  return parts.join("")
})

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
    const services = yield* Effect.context<Services>()
    const events = yield* RouterEvents
    const metrics = Effect.suspend(() => {
      // Counts the requests that settled before this scrape.
      events.flush()
      return Effect.map(
        scrape(counted, services),
        (text) => HttpServerResponse.text(text, { contentType: "text/plain; version=0.0.4; charset=utf-8" }),
      )
    })
    yield* http.addAll(Respond.on(["HEAD", "GET"], "/metrics", metrics))
  }),
)
