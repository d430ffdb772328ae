/**
 * Sends the metrics of the router to an OpenTelemetry collector: all that `/metrics` has.
 *
 * @since 0.1.0
 */
import { Duration, Effect, Layer, Metric } from "effect"
import { HttpClient } from "effect/http"
import { OtlpExporter, OtlpMetrics as Exporter, OtlpSerialization } from "effect/observability"
import * as WatchedClient from "../../support/watchedClient.ts"
import { GaugeRegistry } from "./gaugeRegistry.ts"
import type * as RouterGauges from "./routerGauges.ts"

/** @category models @since 0.1.0 */
export interface Options {
  /** Where the collector takes metrics, such as `http://127.0.0.1:4318/v1/metrics`. */
  readonly url: string
  /** Headers of requests to the collector. Defaults to none. */
  readonly headers?: Readonly<Record<string, string>> | undefined
  /** Defaults to `http/json`, which every collector takes on the same path. */
  readonly protocol?: "http/json" | "http/protobuf" | undefined
  /** Defaults to `none`. */
  readonly compression?: "gzip" | "none" | undefined
  /** Milliseconds between two exports. Defaults to `60000`. */
  readonly intervalMillis?: number | undefined
  /** Longest time for one request to the collector, in milliseconds. Defaults to `10000`. */
  readonly timeoutMillis?: number | undefined
  /** Whether counters are sums since the start, or since the last export. Defaults to `cumulative`. */
  readonly temporality?: "cumulative" | "delta" | undefined
  /** Defaults to `llamero`. */
  readonly serviceName?: string | undefined
  /** More attributes of the process, such as `deployment.environment.name`. Defaults to none. */
  readonly resource?: Readonly<Record<string, string>> | undefined
}

const checked = (options: Options): Options => {
  const { intervalMillis = 1, timeoutMillis = 1 } = options
  for (const [name, value] of Object.entries({ intervalMillis, timeoutMillis })) {
    if (!(value > 0)) throw new RangeError(`OtlpMetrics.layer: ${name} must be above 0, got ${value}`)
  }
  return options
}

const make = Effect.fnUntraced(function* (options: Options) {
  const { headers, intervalMillis = 60_000, resource = {}, serviceName = "llamero", timeoutMillis = 10_000 } = options
  const services = yield* Effect.context<RouterGauges.Services>()
  const counted = yield* Metric.MetricRegistry
  const client = WatchedClient.make(yield* HttpClient.HttpClient, "metrics", timeoutMillis)
  yield* Exporter.make({
    url: options.url,
    headers,
    compression: options.compression ?? "none",
    exportInterval: Duration.millis(intervalMillis),
    shutdownTimeout: Duration.millis(timeoutMillis),
    temporality: options.temporality ?? "cumulative",
    resource: { serviceName, attributes: resource },
  }).pipe(
    Effect.provideService(HttpClient.HttpClient, client),
    Effect.provideService(Metric.MetricRegistry, new GaugeRegistry(counted, services)),
  )
})

/**
 * The counters and histograms in the `MetricRegistry` that the layer is built with, and the gauges of `/metrics`, read
 * at each export and when the layer ends. Merge it with the server's app, above the router.
 *
 * **Details**
 *
 * Names, labels and meanings are those of `/metrics`; unknown is a missing series, never 0. After four failures of one
 * export, those of the next minute are left out. With cumulative sums nothing is lost by that.
 *
 * Throws a `RangeError` for a time that is not above 0.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: Options): Layer.Layer<never, never, HttpClient.HttpClient | RouterGauges.Services> =>
  Layer.effectDiscard(make(checked(options))).pipe(
    Layer.provide(
      options.protocol === "http/protobuf" ? OtlpSerialization.layerProtobuf : OtlpSerialization.layerJson,
    ),
    Layer.provide(OtlpExporter.layerFlusher),
  )
