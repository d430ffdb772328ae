/** Effect's exporter for OTLP, as the documentation uses it. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Metric } from "effect"
import { HttpClient, HttpClientResponse } from "effect/http"
import { OtlpMetrics, OtlpSerialization } from "effect/observability"
import { TestClock } from "effect/testing"
import * as RouterMetrics from "../../../src/layers/events/RouterMetrics.ts"
import * as SynchronousRouterEvents from "../../../src/layers/events/SynchronousRouterEvents.ts"
import { RouterEvents } from "../../../src/services/RouterEvents.ts"

interface Sent {
  readonly resourceMetrics: ReadonlyArray<{
    readonly scopeMetrics: ReadonlyArray<{
      readonly metrics: ReadonlyArray<{
        readonly name: string
        readonly sum?: { readonly dataPoints: ReadonlyArray<{ readonly asDouble?: number; readonly asInt?: string }> }
      }>
    }>
  }>
}

describe("OTLP", () => {
  it.effect("exports the counters of the router", () =>
    Effect.gen(function* () {
      const sent: Array<Sent> = []
      const client = HttpClient.make((request) =>
        Effect.sync(() => {
          const { body } = request
          if (body._tag === "Uint8Array") sent.push(JSON.parse(new TextDecoder().decode(body.body)))
          return HttpClientResponse.fromWeb(request, new Response("{}"))
        })
      )
      const exporter = OtlpMetrics.layer({
        url: "http://collector/v1/metrics",
        resource: { serviceName: "llamero" },
        exportInterval: "10 seconds",
      })
      yield* Effect.gen(function* () {
        const { publish } = yield* RouterEvents
        for (let i = 0; i < 3; i++) publish({ _tag: "AttemptFailed", at: 0, id: "r", backend: "a", cause: "reset" })
        yield* TestClock.adjust("11 seconds")
      }).pipe(Effect.provide(
        Layer.merge(RouterMetrics.layer, exporter).pipe(
          Layer.provideMerge(SynchronousRouterEvents.layer),
          Layer.provide([Layer.succeed(HttpClient.HttpClient, client), OtlpSerialization.layerJson]),
          Layer.provide(Layer.succeed(Metric.MetricRegistry, new Map())),
        ),
      ))
      const metrics = sent.flatMap(({ resourceMetrics }) =>
        resourceMetrics.flatMap(({ scopeMetrics }) => scopeMetrics.flatMap(({ metrics }) => metrics))
      )
      const found = metrics.find(({ name }) => name === "llamero_attempts_total")
      assert.strictEqual(Number(found?.sum?.dataPoints[0]?.asDouble ?? found?.sum?.dataPoints[0]?.asInt), 3)
    }))
})
