import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Layer, Metric } from "effect"
import * as RouterMetrics from "../../../src/layers/events/RouterMetrics.ts"
import * as SynchronousRouterEvents from "../../../src/layers/events/SynchronousRouterEvents.ts"
import { success } from "../../../src/services/Outcome.ts"
import { type RequestSettled, RouterEvents } from "../../../src/services/RouterEvents.ts"

const event = (settled: Partial<RequestSettled["settled"]>, rest?: Partial<RequestSettled>): RequestSettled => ({
  ...{ _tag: "RequestSettled", at: 0, id: "r", route: "/api/chat", kind: "chat", model: "m:1b", known: true },
  ...{ tenant: "default", totalMillis: 1100, bytesIn: 1, bytesOut: 1 },
  settled: {
    ...{ result: "answered", status: 200, refusal: undefined, backend: "a", attempts: 1, queuedMillis: 10 },
    outcome: {
      ...success,
      ...{ firstByteMillis: 100, totalMillis: 1100, longestGapMillis: 70 },
      usage: { promptTokens: 20, answerTokens: 41, slotWaitMillis: 0 },
    },
    ...settled,
  },
  ...rest,
})

/** The registry, and what publishes to it. */
const setUpWith = (layer: typeof RouterMetrics.layer) =>
  Effect.gen(function* () {
    const registry = Context.make(Metric.MetricRegistry, new Map())
    const services = yield* Layer.build(
      layer.pipe(
        Layer.provideMerge(SynchronousRouterEvents.layer),
        Layer.provide(Layer.succeedContext(registry)),
      ),
    )
    const { publish } = Context.get(services, RouterEvents)
    const of = (name: string, labels: Readonly<Record<string, string>> = {}) => {
      const found = Metric.snapshotUnsafe(registry).filter(({ attributes = {}, id }) =>
        id === name && Object.entries(labels).every(([label, value]) => attributes[label] === value)
      )
      assert.isAtMost(found.length, 1, name)
      const [metric] = found
      if (metric?.type === "Counter") return Number(metric.state.count)
      if (metric?.type === "Histogram") return metric.state.sum
      return undefined
    }
    return { publish, of, size: () => Metric.snapshotUnsafe(registry).length }
  })

const setUp = setUpWith(RouterMetrics.layer)

describe("RouterMetrics", () => {
  it.effect("counts the tokens, their rate, the gap and the time of the backend", () =>
    Effect.gen(function* () {
      const { of, publish } = yield* setUp
      publish(event({}))
      assert.strictEqual(of("llamero_tokens_total", { model: "m:1b", type: "in" }), 20)
      assert.strictEqual(of("llamero_tokens_total", { model: "m:1b", type: "out" }), 41)
      // 40 tokens after the first one, in one second.
      assert.strictEqual(of("llamero_answer_tokens_per_second", { model: "m:1b" }), 40)
      assert.strictEqual(of("llamero_stream_gap_seconds", { backend: "a" }), 0.07)
      assert.strictEqual(of("llamero_backend_duration_seconds", { backend: "a" }), 1.1)
      // An answer in one piece has no rate and no gap; one that failed has neither tokens nor a time.
      publish(event({ outcome: { ...success, firstByteMillis: 100, totalMillis: 100 } }))
      publish(event({ outcome: { kind: "failure", cause: "reset" } }))
      assert.strictEqual(of("llamero_answer_tokens_per_second", { model: "m:1b" }), 40)
      assert.strictEqual(of("llamero_stream_gap_seconds", { backend: "a" }), 0.07)
    }))

  it.effect("counts a shared answer once", () =>
    Effect.gen(function* () {
      const { of, publish } = yield* setUp
      publish(event({}))
      publish(event({ coalesced: "identical" }))
      assert.strictEqual(of("llamero_tokens_total", { type: "out" }), 41)
      assert.strictEqual(of("llamero_coalesced_total", { how: "identical" }), 1)
    }))

  it.effect("tells the waits for loads from all waits", () =>
    Effect.gen(function* () {
      const { of, publish } = yield* setUp
      publish(event({ queuedMillis: 500 }))
      publish(event({ queuedMillis: 3000 }, { cold: true }))
      assert.strictEqual(of("llamero_queue_wait_seconds"), 3.5)
      assert.strictEqual(of("llamero_load_wait_seconds"), 3)
      assert.strictEqual(of("llamero_cold_starts_total"), 1)
    }))

  it.effect("counts what the router adds where it was measured", () =>
    Effect.gen(function* () {
      const { of, publish } = yield* setUp
      publish(event({}))
      assert.isUndefined(of("llamero_routing_duration_seconds"))
      publish(event({}, { routingMillis: 0.25 }))
      assert.strictEqual(of("llamero_routing_duration_seconds", { route: "/api/chat" }), 0.000_25)
    }))

  it.effect("charges tenants of keys by name, and all others together", () =>
    Effect.gen(function* () {
      const { of, publish } = yield* setUp
      publish(event({}, { cost: 0.5, tenant: "team", keyed: true }))
      publish(event({}, { cost: 0.25, tenant: "made-up", keyed: false }))
      publish(event({}, { cost: 0.25, tenant: "made-up-too" }))
      publish(event({}, { cost: 1 }))
      publish(event({}))
      const cost = (tenant: string) => of("llamero_tenant_cost_total", { tenant })
      assert.deepStrictEqual(["team", "other", "default", "made-up"].map(cost), [0.5, 0.5, 1, undefined])
      assert.strictEqual(of("llamero_tenant_requests_total", { tenant: "other" }), 2)
      assert.strictEqual(of("llamero_tenant_tokens_total", { tenant: "team", type: "out" }), 41)
    }))

  it.effect("names the tenants that it is told to name", () =>
    Effect.gen(function* () {
      const { of, publish } = yield* setUpWith(RouterMetrics.layerNaming(["team"]))
      for (const tenant of ["team", "made-up", "default"]) publish(event({}, { cost: 0.5, tenant }))
      const cost = (tenant: string) => of("llamero_tenant_cost_total", { tenant })
      assert.deepStrictEqual(["team", "other", "default", "made-up"].map(cost), [0.5, 0.5, 0.5, undefined])
    }))

  it.effect("finds a series again, whatever comes between: models, routes, backends, results", () =>
    Effect.gen(function* () {
      const { of, publish, size } = yield* setUp
      const all = ["m:1b", "n:1b"].flatMap((model) =>
        ["/api/chat", "/api/generate"].flatMap((route) =>
          ["a", "b"].flatMap((backend) => [200, 404, 500].map((status) => event({ backend, status }, { model, route })))
        )
      )
      for (const one of all) publish(one)
      const before = size()
      for (let i = 0; i < 20; i++) for (const one of all) publish(one)
      assert.strictEqual(size(), before)
      const labels = { model: "m:1b", route: "/api/chat", result: "answered", status: "4xx" }
      assert.strictEqual(of("llamero_requests_total", labels), 42)
    }))

  it.effect("drops the series of models and backends that are gone", () =>
    Effect.gen(function* () {
      const { of, publish, size } = yield* setUp
      for (let i = 0; i < 3000; i++) publish(event({ backend: `b${i}` }, { model: `m${i}` }))
      // Of 512 models and backends at most, a model has some twelve series. All would be 36,000.
      assert.isBelow(size(), 8000)
      // The last ones are there.
      assert.isAbove(size(), 1000)
      assert.strictEqual(of("llamero_cold_starts_total", { model: "m2999" }), undefined)
      assert.strictEqual(of("llamero_tokens_total", { model: "m2999", type: "out" }), 41)
      assert.isUndefined(of("llamero_tokens_total", { model: "m0", type: "out" }))
    }))
})
