/**
 * `/metrics` in Prometheus' text format, and in OpenMetrics where the client asks for it.
 *
 * @since 0.1.0
 */
import { type Context, Effect, type Layer } from "effect"
import { HttpRouter, HttpServerRequest, HttpServerResponse } from "effect/http"
import { RouterEvents } from "../../services/RouterEvents.ts"
import * as MetricText from "./metricText.ts"
import * as OpenMetrics from "./openMetrics.ts"
import * as Respond from "./respond.ts"
import * as RouterGauges from "./routerGauges.ts"

const textType = "text/plain; version=0.0.4; charset=utf-8"

/** Characters of text that are made in one turn of the event loop. */
const partMax = 128 * 1024

/** The whole text. A text that is long is made in several turns of the event loop. */
const scrape = Effect.fnUntraced(function* (
  counted: Context.Context<never>,
  services: Context.Context<RouterGauges.Services>,
  openMetrics: boolean,
) {
  const parts: Array<string> = []
  let length = 0
  const add = (part: string): boolean => {
    parts.push(part)
    length += part.length
    if (length < partMax) return false
    length = 0
    return true
  }
  const registered = openMetrics ? OpenMetrics.parts(counted) : MetricText.registryParts(counted)
  for (const part of registered) if (add(part)) yield* Effect.yieldNow
  const read = new MetricText.Readings()
  for (const _ of RouterGauges.read(services, read)) yield* Effect.yieldNow
  for (const part of read.parts(openMetrics)) if (add(part)) yield* Effect.yieldNow
  if (openMetrics) add(OpenMetrics.end)
  return parts.join("")
})

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
    const services = yield* Effect.context<RouterGauges.Services>()
    const events = yield* RouterEvents
    const metrics = Effect.flatMap(HttpServerRequest.HttpServerRequest, ({ headers }) => {
      // Counts the requests that settled before this scrape.
      events.flush()
      const openMetrics = OpenMetrics.isWanted(headers["accept"])
      return Effect.map(
        scrape(counted, services, openMetrics),
        (text) => HttpServerResponse.text(text, { contentType: openMetrics ? OpenMetrics.contentType : textType }),
      )
    })
    yield* http.addAll(Respond.on(["HEAD", "GET"], "/metrics", metrics))
  }),
)
