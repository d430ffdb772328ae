/** Metrics over OTLP: a receiver decodes them, and has what `/metrics` has at that moment. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Layer, Metric } from "effect"
import { HttpClient, HttpClientResponse } from "effect/http"
import { TestClock } from "effect/testing"
import { parse } from "../../../scripts/docs/metrics.ts"
import * as StaticFleet from "../../../src/layers/fleet/StaticFleet.ts"
import * as LearnedModelFootprints from "../../../src/layers/memory/footprint/LearnedModelFootprints.ts"
import * as MemoryVramLedger from "../../../src/layers/memory/ledger/MemoryVramLedger.ts"
import * as OllamaApp from "../../../src/layers/OllamaApp.ts"
import * as OtlpMetrics from "../../../src/layers/routes/OtlpMetrics.ts"
import * as Standard from "../../../src/layers/Standard.ts"
import * as WebServer from "../../../src/layers/server/WebServer.ts"
import { Leases } from "../../../src/services/Leases.ts"
import { RouterEvents } from "../../../src/services/RouterEvents.ts"
import * as SimulatedFleet from "../../../src/simulated/SimulatedFleet.ts"
import * as SimulatedGpuProbe from "../../../src/simulated/SimulatedGpuProbe.ts"
import * as SimulatedOllamaApi from "../../../src/simulated/SimulatedOllamaApi.ts"
import * as SimulatedTransport from "../../../src/simulated/SimulatedTransport.ts"
import { ask, url } from "../../support/routers.ts"

// deno-lint-ignore no-explicit-any
type Json = Readonly<Record<string, any>>

interface Point {
  readonly name: string
  readonly kind: "counter" | "gauge" | "histogram"
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

const labelsOf = (attributes: ReadonlyArray<Json> = []) =>
  Object.fromEntries(attributes.map(({ key, value }) => [key, value["stringValue"]]))

/** The points of one export. */
const decode = (body: string): ReadonlyArray<Point> =>
  JSON.parse(body).resourceMetrics[0].scopeMetrics[0].metrics.flatMap(({ gauge, histogram, name, sum }: Json) => {
    const kind = gauge !== undefined ? "gauge" : sum !== undefined ? "counter" : "histogram"
    return (gauge ?? sum ?? histogram)["dataPoints"].map((point: Json): Point => ({
      ...{ name, kind, labels: labelsOf(point["attributes"]) },
      value: Number(point["asDouble"] ?? point["asInt"] ?? point["count"]),
    }))
  })

const keyOf = (name: string, labels: Readonly<Record<string, string>>): string =>
  [name, ...Object.entries(labels).map(([label, value]) => `${label}=${value}`).sort()].join(" ")

/** The series of a scrape by name and labels: a histogram counts with its count. */
const scraped = (text: string): ReadonlyMap<string, number> =>
  new Map(
    Array.from(
      text.matchAll(/^(llamero_\w+?)(_count)?(?:\{(.*)\})? (\S+)$/gm),
      ([, name = "", , labels = "", value]) => {
        const found = Object.fromEntries(
          Array.from(labels.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g), ([, label, of]) => [label!, of!]),
        )
        return [keyOf(name, found), Number(value)] as const
      },
    ).filter(([key]) => !/_(bucket|sum)( |$)/.test(key)),
  )

class Receiver {
  readonly exports: Array<ReadonlyArray<Point>> = []
  readonly headers: Array<Readonly<Record<string, string | undefined>>> = []
  readonly urls: Array<string> = []
  status = 200

  get client() {
    return Layer.succeed(
      HttpClient.HttpClient,
      HttpClient.make((request, at) =>
        Effect.sync(() => {
          if (this.status === 200 && request.body._tag === "Uint8Array") {
            if (request.body.contentType === "application/json") {
              this.exports.push(decode(new TextDecoder().decode(request.body.body)))
            }
            this.headers.push({ ...request.headers, type: request.body.contentType })
            this.urls.push(at.href)
          }
          return HttpClientResponse.fromWeb(request, new Response("{}", { status: this.status }))
        })
      ),
    )
  }
}

const router = Standard.layer({
  ledger: MemoryVramLedger.layer().pipe(Layer.provide(LearnedModelFootprints.layer())),
}).pipe(
  Layer.provideMerge(Layer.merge(SimulatedTransport.layer, SimulatedOllamaApi.layer)),
  Layer.provideMerge(
    StaticFleet.layer([{ id: "a", url: url("a"), devices: [SimulatedGpuProbe.uuid(url("a"))], price: 2.5 }]),
  ),
  Layer.provideMerge(SimulatedGpuProbe.layer),
  Layer.provideMerge(SimulatedFleet.layer({ [url("a")]: { gpus: ["24 GiB"] } })),
)

const made = (options: Partial<OtlpMetrics.Options> = {}) => {
  const receiver = new Receiver()
  const layer = OtlpMetrics.layer({ url: "http://collector:4318/v1/metrics", ...options }).pipe(
    Layer.provide(receiver.client),
    Layer.provideMerge(router),
    Layer.provideMerge(Layer.succeed(Metric.MetricRegistry, new Map())),
  )
  return { layer, receiver }
}

const serve = Effect.map(
  WebServer.make(OllamaApp.layer()),
  ({ fetch }) => Effect.promise(async () => (await fetch(new Request("http://llamero/metrics"))).text()),
)

const chat = Effect.gen(function* () {
  const fiber = yield* Effect.forkChild(ask("/api/chat", { model: "tiny-eos", messages: [] }), {
    startImmediately: true,
  })
  yield* TestClock.adjust("20 seconds")
  yield* Fiber.join(fiber)
})

describe("OtlpMetrics", () => {
  const whole = made()
  it.effect("sends all that /metrics has: names, kinds, labels and values", () =>
    Effect.gen(function* () {
      const scrape = yield* serve
      yield* TestClock.adjust("1 second")
      yield* scrape
      yield* chat
      yield* TestClock.adjust("60 seconds")
      const { receiver } = whole
      const points = receiver.exports.at(-1)!
      const text = yield* scrape
      const there = scraped(text)
      const sent = new Map(points.map(({ labels, name, value }) => [keyOf(name, labels), value]))
      const missing = [...there.keys()].filter((key) => !sent.has(key))
      assert.deepStrictEqual(missing, [])
      assert.lengthOf(points, sent.size, "no series is there twice")
      // They grow or fall while the test looks at them.
      const moving = /^llamero_(heap|external|resident_memory|event_loop|queue_oldest)/
      for (const [key, value] of there) {
        if (!moving.test(key)) assert.strictEqual(sent.get(key), value, key)
        else assert.isAbove(sent.get(key)!, 0, key)
      }
      const kinds = new Map(points.map(({ kind, name }) => [name, kind]))
      for (const { name, type } of parse(text)) assert.strictEqual(kinds.get(name), type as never, name)
      for (
        const name of [
          ...["llamero_leases", "llamero_streams", "llamero_queue_depth", "llamero_breaker_state", "llamero_ready"],
          ...["llamero_backend_price_per_hour", "llamero_device_free_bytes", "llamero_model_vram_bytes"],
          ...["llamero_heap_used_bytes", "llamero_retry_budget", "llamero_draining", "llamero_backend_healthy"],
        ]
      ) assert.strictEqual(kinds.get(name), "gauge", name)
      assert.strictEqual(kinds.get("llamero_events_lost_total"), "counter")
    }).pipe(Effect.scoped, Effect.provide(whole.layer)), 60_000)

  const fresh = made({ intervalMillis: 5000, headers: { "api-key": "secret" } })
  it.effect("reads the gauges at each export, and forgets a series that is gone", () =>
    Effect.gen(function* () {
      const { receiver } = fresh
      const scrape = yield* serve
      yield* scrape
      yield* TestClock.adjust("10 seconds")
      const value = (name: string, at = -1) => receiver.exports.at(at)!.filter((point) => point.name === name)
      assert.deepStrictEqual(value("llamero_model_resident"), [])
      assert.strictEqual(value("llamero_leases")[0]!.value, 0)
      yield* Effect.forkChild(
        ask("/api/generate", { model: "tiny-loop", prompt: "x", options: { num_predict: 1e6 } }),
        {
          startImmediately: true,
        },
      )
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual(value("llamero_leases")[0]!.value, (yield* Leases).count())
      assert.strictEqual(value("llamero_leases")[0]!.value, 1)
      assert.deepInclude(value("llamero_model_resident")[0], {
        labels: { backend: "a", model: "tiny-loop:latest" },
        value: 1,
      }) // What has settled a moment ago is counted: the events wait for the next turn.
      ;(yield* RouterEvents).publish({ _tag: "AttemptFailed", at: 0, id: "r", backend: "a", cause: "reset" })
      yield* TestClock.adjust("5 seconds")
      const attempts = value("llamero_attempts_total").filter(({ labels }) => labels["outcome"] === "reset")
      assert.deepStrictEqual(attempts.map((one) => one.value), [1])
      assert.isAtLeast(receiver.exports.length, 5)
      assert.deepStrictEqual(new Set(receiver.headers.map((headers) => headers["api-key"])), new Set(["secret"]))
      assert.deepStrictEqual(new Set(receiver.urls), new Set(["http://collector:4318/v1/metrics"]))
    }).pipe(Effect.scoped, Effect.provide(fresh.layer)))

  it.effect("sends what is there when the router stops, and after an outage all that was counted meanwhile", () => {
    const { layer, receiver } = made({ intervalMillis: 10_000, timeoutMillis: 1000 })
    return Effect.gen(function* () {
      yield* Effect.gen(function* () {
        const scrape = yield* serve
        yield* scrape
        receiver.status = 503
        yield* chat
        yield* TestClock.adjust("30 seconds")
        assert.lengthOf(receiver.exports, 0)
        receiver.status = 200
        yield* TestClock.adjust("2 minutes")
        const counted = receiver.exports.at(-1)!.filter(({ name }) => name === "llamero_requests_total")
        assert.deepStrictEqual(counted.map(({ value }) => value), [1])
        receiver.exports.length = 0
      }).pipe(Effect.scoped, Effect.provide(layer))
      assert.lengthOf(receiver.exports, 1)
    })
  })

  it.effect("is sent as protobuf where that is asked for", () => {
    const { layer, receiver } = made({ protocol: "http/protobuf" })
    return Effect.gen(function* () {
      yield* Effect.provide(TestClock.adjust("61 seconds"), layer)
      assert.include(receiver.headers.map(({ type }) => type), "application/x-protobuf")
    })
  })

  it("takes no time that is none", () => {
    for (const wrong of [0, -1, NaN]) {
      assert.throws(() => OtlpMetrics.layer({ url: "http://c", intervalMillis: wrong }), RangeError)
      assert.throws(() => OtlpMetrics.layer({ url: "http://c", timeoutMillis: wrong }), RangeError)
    }
  })
})
