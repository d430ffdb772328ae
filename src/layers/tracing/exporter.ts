/**
 * Sends spans to a collector, one batch after the other, from a queue that has an end.
 *
 * @since 0.1.0
 */
import { Context, Duration, Effect, Latch, Layer, Scope } from "effect"
import { HttpClient } from "effect/http"
import { OtlpExporter, OtlpResource, OtlpSerialization } from "effect/observability"
import * as WatchedClient from "../../support/watchedClient.ts"
import type { Span } from "./span.ts"

/** @internal */
export interface Options {
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  readonly json: boolean
  readonly gzip: boolean
  readonly serviceName: string
  readonly resource: Readonly<Record<string, string>>
  /** Longest time for one request to the collector, in milliseconds. */
  readonly timeoutMillis: number
  /** Longest wait of a span for its batch, in milliseconds. */
  readonly delayMillis: number
  /** Spans that may wait. The last request's may be more. */
  readonly queueMax: number
  readonly batchMax: number
  /** Called with the number of spans of a batch that the collector did not get. */
  readonly failed: (spans: number) => void
}

/** @internal */
export interface Exporter {
  /** Adds the spans of a request, all of them or none: ask first whether it is full. */
  readonly push: (spans: ReadonlyArray<Span>) => void
  /** Whether as many spans wait as may wait. */
  readonly full: () => boolean
}

/** Exports until the scope closes, and then what still waits. @internal */
export const make = Effect.fnUntraced(function* (
  options: Options,
): Effect.fn.Return<Exporter, never, HttpClient.HttpClient | Scope.Scope> {
  const { batchMax, delayMillis, failed, queueMax, timeoutMillis } = options
  const serialization = Context.get(
    yield* Layer.build(options.json ? OtlpSerialization.layerJson : OtlpSerialization.layerProtobuf),
    OtlpSerialization.OtlpSerialization,
  )
  const flusher = Context.get(yield* Layer.build(Layer.fresh(OtlpExporter.layerFlusher)), OtlpExporter.Flusher)
  const resource = OtlpResource.make({ serviceName: options.serviceName, attributes: options.resource })
  let hasArrived = false
  const arrived = Effect.sync(() => {
    hasArrived = true
  })
  const scopeSpans = (spans: Array<Span>) => [{ scope: { name: "llamero" }, spans }]
  const batches = yield* OtlpExporter.make({
    label: "llamero",
    url: options.url,
    headers: options.headers,
    compression: options.gzip ? "gzip" : "none",
    // The loop below says when. Without a largest batch nothing is sent that it does not wait for.
    exportInterval: Duration.days(1),
    maxBatchSize: "disabled",
    body: (spans) => [
      serialization.traces({ resourceSpans: [{ resource, scopeSpans: scopeSpans(spans) }] }),
      arrived,
    ],
    shutdownTimeout: Duration.millis(timeoutMillis),
  }).pipe(
    Effect.provideService(OtlpExporter.Flusher, flusher),
    Effect.provideService(
      HttpClient.HttpClient,
      WatchedClient.make(yield* HttpClient.HttpClient, "traces", timeoutMillis),
    ),
  )

  const queue: Array<Span> = []
  const due = yield* Latch.make(false)
  const hand = (most: number): number => {
    const batch = queue.splice(0, most)
    for (const span of batch) batches.push(span)
    if (queue.length < batchMax) due.closeUnsafe()
    return batch.length
  }
  yield* Effect.addFinalizer(() => Effect.sync(() => hand(queue.length)))
  const next = Effect.timeoutOption(due.await, Duration.millis(delayMillis))
  const batch = Effect.suspend(() => {
    hasArrived = false
    const spans = hand(batchMax)
    // For a minute after a failure the exporter takes none, and says nothing.
    return Effect.andThen(flusher.flush, Effect.sync(() => hasArrived || spans === 0 || failed(spans)))
  })
  yield* Effect.forkScoped(Effect.forever(Effect.andThen(next, batch)))

  return {
    push: (spans) => {
      for (const span of spans) queue.push(span)
      if (queue.length >= batchMax) due.openUnsafe()
    },
    full: () => queue.length >= queueMax,
  }
})
