import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Layer, Metric } from "effect"
import * as RouterMetrics from "../../../src/layers/events/RouterMetrics.ts"
import * as SynchronousRouterEvents from "../../../src/layers/events/SynchronousRouterEvents.ts"
import * as StaticFleet from "../../../src/layers/fleet/StaticFleet.ts"
import * as MetricsRoutes from "../../../src/layers/routes/MetricsRoutes.ts"
import { Admission } from "../../../src/services/Admission.ts"
import { Breaker } from "../../../src/services/Breaker.ts"
import { Leases } from "../../../src/services/Leases.ts"
import { success } from "../../../src/services/Outcome.ts"
import { refuse } from "../../../src/services/Refusal.ts"
import { Residency } from "../../../src/services/Residency.ts"
import { type RequestSettled, RouterEvents } from "../../../src/services/RouterEvents.ts"
import { type DeviceStatus, VramLedger } from "../../../src/services/VramLedger.ts"
import type { Trace } from "../../../src/services/Trace.ts"
import * as MockBackendHealth from "../../../src/testing/mocks/MockBackendHealth.ts"
import * as MockModelCatalog from "../../../src/testing/mocks/MockModelCatalog.ts"
import * as MockRouter from "../../../src/testing/mocks/MockRouter.ts"
import { fleetOf, viewOf } from "../../support/views.ts"
import { partly, serve } from "../../support/web.ts"

const settled = (options: Partial<RequestSettled["settled"]>, event?: Partial<RequestSettled>): RequestSettled => ({
  _tag: "RequestSettled",
  at: 0,
  id: "r",
  route: "/api/chat",
  kind: "chat",
  model: "m:1b",
  known: true,
  tenant: "default",
  settled: {
    result: "answered",
    status: 200,
    refusal: undefined,
    outcome: { ...success, firstByteMillis: 40 },
    backend: "a",
    attempts: 1,
    queuedMillis: 7,
    ...options,
  },
  totalMillis: 200,
  bytesIn: 10,
  bytesOut: 20,
  ...event,
})

const unknown: DeviceStatus = {
  device: "",
  backends: ["a"],
  declared: undefined,
  total: undefined,
  free: undefined,
  capacity: undefined,
  held: 0,
  foreign: undefined,
  readAt: undefined,
  failure: "",
}

const setUp = Effect.gen(function* () {
  const services = yield* Layer.build(Layer.mergeAll(
    StaticFleet.layer([{ id: "a", url: "http://a:11434", price: 2.5 }, { id: "b", url: "http://b:11434" }]),
    MockBackendHealth.layer({ a: "healthy", b: "unhealthy" }),
    MockRouter.layer(refuse("Internal", "not asked")),
    MockModelCatalog.layer([{ name: "m:1b", owners: ["a"] }, { name: "idle:1b", owners: ["a"] }]),
    SynchronousRouterEvents.layer,
    partly(Breaker, { state: (backend, model) => backend === "a" && model === "m:1b" ? "open" : "closed" }),
    partly(Admission, {
      queues: () => [{
        model: "m:1b",
        depth: 3,
        bytes: 300,
        oldestMillis: 1500,
        waitMillis: 4000,
        classes: { interactive: 1, default: 2, batch: 0 },
        tenants: [{ tenant: "default", depth: 3 }],
      }],
    }),
    partly(Leases, {
      view: fleetOf([viewOf("a", { streams: 2, limitOf: ({ key }) => key === "m:1b" ? 5 : 1 })]),
      count: () => 2,
    }),
    partly(Residency, {
      list: (backend) =>
        backend !== "a" ? [] : [{
          backend,
          model: "m:1b",
          state: "resident",
          size: 10,
          sizeVram: 8,
          contextLength: 4096,
          expiresAt: undefined,
          source: "observed",
        }],
    }),
    partly(VramLedger, {
      devices: () => [
        {
          ...{ ...unknown, device: "GPU-1", total: 24, free: 9, capacity: 20, held: 12, foreign: 3, reserve: 2 },
          sensors: { temperature: 61, power: 250.5, utilisation: 0.75, healthy: true },
        },
        {
          ...{ ...unknown, device: "GPU-3", reserve: 2 },
          sensors: { temperature: undefined, power: undefined, utilisation: 0, healthy: false },
        },
        { ...unknown, device: "GPU-2", failure: "the probe failed" },
      ],
    }),
  ))
  const registry = Layer.succeed(Metric.MetricRegistry, new Map())
  const app = Layer.mergeAll(RouterMetrics.layer, MetricsRoutes.layer).pipe(
    Layer.provide(Layer.succeedContext(services)),
    Layer.provide(registry),
  )
  const ask = yield* serve(app)
  // The app is built at the first request; only then are events received.
  yield* ask("GET /metrics")
  const scrape = Effect.map(ask("GET /metrics"), ({ body }) => body.split("\n"))
  return { ask, scrape, publish: Context.get(services, RouterEvents).publish }
})

describe("MetricsRoutes", () => {
  it.live("shows the current values of the gauges", () =>
    Effect.gen(function* () {
      const { ask, scrape } = yield* setUp
      assert.match((yield* ask("GET /metrics")).headers.get("content-type")!, /^text\/plain; version=0\.0\.4/)
      const lines = yield* scrape
      for (
        const line of [
          "# TYPE llamero_backend_healthy gauge",
          `llamero_backend_healthy{backend="a"} 1`,
          `llamero_backend_healthy{backend="b"} 0`,
          `llamero_queue_depth{model="m:1b"} 3`,
          `llamero_queue_depth{model="idle:1b"} 0`,
          `llamero_queue_oldest_seconds{model="m:1b"} 1.5`,
          "llamero_queue_bytes 300",
          "llamero_leases 2",
          `llamero_streams{backend="a"} 2`,
          `llamero_concurrency_limit{backend="a",model="m:1b"} 5`,
          `llamero_breaker_state{backend="a"} 0`,
          `llamero_breaker_state{backend="a",model="m:1b"} 2`,
          `llamero_model_resident{backend="a",model="m:1b"} 1`,
          `llamero_model_vram_bytes{backend="a",model="m:1b"} 8`,
          "llamero_active_requests 0",
          "# TYPE llamero_events_lost_total counter",
          "llamero_events_lost_total 0",
          `llamero_device_total_bytes{device="GPU-1"} 24`,
          `llamero_device_free_bytes{device="GPU-1"} 9`,
          `llamero_device_capacity_bytes{device="GPU-1"} 20`,
          `llamero_device_allocated_bytes{device="GPU-1"} 12`,
          `llamero_device_foreign_bytes{device="GPU-1"} 3`,
          `llamero_device_readable{device="GPU-1"} 1`,
          `llamero_device_readable{device="GPU-2"} 0`,
          `llamero_device_allocated_bytes{device="GPU-2"} 0`,
          `llamero_device_reserve_bytes{device="GPU-1"} 2`,
          `llamero_device_temperature_celsius{device="GPU-1"} 61`,
          `llamero_device_power_watts{device="GPU-1"} 250.5`,
          `llamero_device_utilization_ratio{device="GPU-1"} 0.75`,
          `llamero_device_healthy{device="GPU-1"} 1`,
          `llamero_device_healthy{device="GPU-3"} 0`,
          `llamero_device_utilization_ratio{device="GPU-3"} 0`,
          `llamero_backend_price_per_hour{backend="a"} 2.5`,
          "llamero_draining 0",
        ]
      ) assert.include(lines, line)
      assert.isAbove(Number(/^llamero_heap_used_bytes (\d+)$/m.exec(lines.join("\n"))?.[1]), 1e6)
      const unpriced = /price_per_hour\{backend="b"|(temperature_celsius|power_watts)\{device="GPU-[23]"/
      assert.isFalse(lines.some((line) => unpriced.test(line)))
      assert.isFalse(lines.some((line) => /device_(healthy|utilization_ratio)\{device="GPU-2"/.test(line)))
      // Unknown is a missing series, not 0.
      assert.isFalse(lines.some((line) => /device_(total|free|capacity|foreign)_bytes\{device="GPU-2"/.test(line)))
    }))

  it.live("answers in OpenMetrics where the client prefers it, with an exemplar", () =>
    Effect.gen(function* () {
      const { ask, publish } = yield* setUp
      const trace = { sampled: true, traceId: "0af7651916cd43dd8448eb211c80319c" } as Trace
      publish(settled({}, { id: "r17", at: 5000, trace }))
      // Nobody has this trace.
      publish(settled({}, { id: "r18", at: 5000, totalMillis: 20, trace: { ...trace, sampled: false } as Trace }))
      const scrape = (accept: string) => ask("GET /metrics", { headers: { accept } })
      const open = yield* scrape("application/openmetrics-text;version=1.0.0,text/plain;q=0.5")
      assert.match(open.headers.get("content-type")!, /^application\/openmetrics-text; version=1\.0\.0/)
      assert.isTrue(open.body.endsWith("\n# EOF\n"))
      const lines = open.body.split("\n")
      const ids = `{request_id="r17",trace_id="0af7651916cd43dd8448eb211c80319c"}`
      const series = `llamero_request_duration_seconds_bucket{route="/api/chat",model="m:1b",le="0.25"}`
      assert.include(lines, `${series} 2 # ${ids} 0.2 5`)
      assert.include(lines, `${series.replace("0.25", "0.025")} 1 # {request_id="r18"} 0.02 5`)
      assert.include(lines, "# TYPE llamero_requests counter")
      assert.include(lines, "llamero_leases 2")
      // Each family has one head: a second one is an error in this format.
      const heads = lines.filter((line) => line.startsWith("# TYPE"))
      assert.lengthOf(heads, new Set(heads).size)
      const plain = yield* scrape("text/plain;version=0.0.4")
      assert.match(plain.headers.get("content-type")!, /^text\/plain/)
      assert.notInclude(plain.body, "request_id")
    }))

  it.live("counts the events", () =>
    Effect.gen(function* () {
      const { publish, scrape } = yield* setUp
      publish(settled({}))
      publish({ _tag: "AttemptFailed", at: 0, id: "r", backend: "b", cause: "refused" })
      publish(settled({ attempts: 2 }))
      publish(settled({
        result: "refused",
        status: 503,
        refusal: refuse("QueueFull", "full"),
        outcome: undefined,
        backend: undefined,
        attempts: 0,
      }))
      const lines = yield* scrape
      for (
        const line of [
          `llamero_requests_total{route="/api/chat",model="m:1b",result="answered",status="2xx"} 2`,
          `llamero_requests_total{route="/api/chat",model="m:1b",result="refused",status="5xx"} 1`,
          `llamero_sheds_total{model="m:1b",reason="QueueFull"} 1`,
          `llamero_attempts_total{backend="a",outcome="ok"} 2`,
          `llamero_attempts_total{backend="b",outcome="refused"} 1`,
          `llamero_retries_total{model="m:1b"} 1`,
          `llamero_time_to_first_byte_seconds_bucket{model="m:1b",backend="a",le="0.05"} 2`,
          `llamero_queue_wait_seconds_count{model="m:1b"} 2`,
          `llamero_request_duration_seconds_sum{route="/api/chat",model="m:1b"} 0.6000000000000001`,
        ]
      ) assert.include(lines, line)
    }))

  it.live("counts every attempt once: passed on, given up by the client, or followed by another", () =>
    Effect.gen(function* () {
      const { publish, scrape } = yield* setUp
      // Error answers of backends, passed on to the client.
      publish(settled({ status: 500, outcome: { kind: "failure", cause: "http-500" } }))
      publish(settled({ status: 503, outcome: { kind: "saturated", cause: "http-503" } }))
      publish(settled({ status: 404, outcome: { kind: "ignored", cause: "http-404" } }))
      // The client left during the second attempt, and while it waited for a second one.
      const failed = { _tag: "AttemptFailed", at: 0, id: "r", backend: "b", cause: "reset" } as const
      publish(failed)
      publish(settled({ result: "canceled", status: 499, attempts: 2, outcome: undefined }))
      publish(failed)
      publish(settled({ result: "canceled", status: 499, attempts: 1, outcome: { kind: "failure", cause: "reset" } }))
      const lines = yield* scrape
      for (
        const line of [
          `llamero_attempts_total{backend="a",outcome="http-500"} 1`,
          `llamero_attempts_total{backend="a",outcome="http-503"} 1`,
          `llamero_attempts_total{backend="a",outcome="http-404"} 1`,
          `llamero_attempts_total{backend="a",outcome="client-gone"} 1`,
          `llamero_attempts_total{backend="b",outcome="reset"} 2`,
        ]
      ) assert.include(lines, line)
      assert.notInclude(lines.join("\n"), `llamero_attempts_total{backend="a",outcome="reset"}`)
    }))

  it.live("makes no series from names that clients send", () =>
    Effect.gen(function* () {
      const { publish, scrape } = yield* setUp
      for (let i = 0; i < 50; i++) publish(settled({ status: 404 }, { model: `made-up-${i}`, known: false }))
      const text = (yield* scrape).join("\n")
      assert.notInclude(text, "made-up")
      assert.include(
        text,
        `llamero_requests_total{route="/api/chat",model="unknown",result="answered",status="4xx"} 50`,
      )
    }))
})
