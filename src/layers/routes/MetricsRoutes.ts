/**
 * `/metrics` in Prometheus' text format, and in OpenMetrics where the client asks for it.
 *
 * @since 0.1.0
 */
import { Effect, type Layer } from "effect"
import { HttpRouter, HttpServerRequest, HttpServerResponse } from "effect/http"
import { PrometheusMetrics } from "effect/observability"
import { RouterEvents } from "../../services/RouterEvents.ts"
import * as OpenMetrics from "./openMetrics.ts"
import * as Respond from "./respond.ts"
import * as RouterGauges from "./routerGauges.ts"

const textType = "text/plain; version=0.0.4; charset=utf-8"

/**
 * **Details**
 *
 * First the metrics in the `MetricRegistry` that the layer is built with (`RouterMetrics`, and those of a deployer's
 * own code), then the gauges of the router, read at the moment of the scrape. In OpenMetrics, buckets of some
 * histograms have the id of a request that fell into them, and of its trace.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<never, never, HttpRouter.HttpRouter | RouterGauges.Services> = HttpRouter.use(
  Effect.fnUntraced(function* (http) {
    const counted = yield* Effect.context<never>()
    const read = RouterGauges.read(yield* Effect.context<RouterGauges.Services>())
    const events = yield* RouterEvents
    const metrics = Effect.map(HttpServerRequest.HttpServerRequest, ({ headers }) => {
      // Counts the requests that settled before this scrape.
      events.flush()
      const all = [counted, read()]
      return OpenMetrics.isWanted(headers["accept"])
        ? HttpServerResponse.text(OpenMetrics.format(all), { contentType: OpenMetrics.contentType })
        : HttpServerResponse.text(all.map((one) => PrometheusMetrics.formatUnsafe(one)).join(""), {
          contentType: textType,
        })
    })
    yield* http.addAll(Respond.on(["HEAD", "GET"], "/metrics", metrics))
  }),
)
