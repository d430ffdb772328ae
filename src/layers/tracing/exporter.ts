/**
 * Sends spans to a collector, one batch after the other, from a queue that has an end.
 *
 * @since 0.1.0
 */
import { Context, Duration, Effect, Latch, Layer, Scope } from "effect"
import { HttpClient, HttpClientError } from "effect/http"
import { OtlpExporter, OtlpResource, OtlpSerialization } from "effect/observability"
import * as Outage from "../../support/outage.ts"
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
}

/** @internal */
export interface Exporter {
  /** Adds the spans of a request, all of them or none: ask first whether it is full. */
  readonly push: (spans: ReadonlyArray<Span>) => void
  /** Whether as many spans wait as may wait. */
  readonly full: () => boolean
}

const unreachable = "traces cannot be exported; they are dropped until the collector answers"

/** A client that gives up after a time, and that logs the first failure of an outage and its end. */
const watched = (client: HttpClient.HttpClient, millis: number): HttpClient.HttpClient => {
  const outage = Outage.make()
  return HttpClient.transform(client, (response, request) => {
    const late = () =>
      Effect.fail(
        new HttpClientError.HttpClientError({
          reason: new HttpClientError.TransportError({ request, description: `no answer in ${millis} ms` }),
        }),
      )
    return Effect.timeoutOrElse(response, { duration: Duration.millis(millis), orElse: late }).pipe(
      Effect.tap(({ status }) =>
        status < 400
          ? outage.ends(Effect.logInfo("traces can be exported again"))
          : outage.begins(String(status), Effect.logWarning(`${unreachable}: status ${status}`))
      ),
      Effect.tapError((error) => outage.begins(error.message, Effect.logWarning(`${unreachable}: ${error.message}`))),
    )
  })
}

/** Exports until the scope closes, and then what still waits. @internal */
export const make = Effect.fnUntraced(function* (
  options: Options,
): Effect.fn.Return<Exporter, never, HttpClient.HttpClient | Scope.Scope> {
  const { batchMax, delayMillis, queueMax, timeoutMillis } = options
  const serialization = Context.get(
    yield* Layer.build(options.json ? OtlpSerialization.layerJson : OtlpSerialization.layerProtobuf),
    OtlpSerialization.OtlpSerialization,
  )
  const flusher = Context.get(yield* Layer.build(Layer.fresh(OtlpExporter.layerFlusher)), OtlpExporter.Flusher)
  const resource = OtlpResource.make({ serviceName: options.serviceName, attributes: options.resource })
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
      Effect.void,
    ],
    shutdownTimeout: Duration.millis(timeoutMillis),
  }).pipe(
    Effect.provideService(OtlpExporter.Flusher, flusher),
    Effect.provideService(HttpClient.HttpClient, watched(yield* HttpClient.HttpClient, timeoutMillis)),
  )

  const queue: Array<Span> = []
  const due = yield* Latch.make(false)
  const hand = (most: number): void => {
    for (const span of queue.splice(0, most)) batches.push(span)
    if (queue.length < batchMax) due.closeUnsafe()
  }
  yield* Effect.addFinalizer(() => Effect.sync(() => hand(queue.length)))
  const next = Effect.timeoutOption(due.await, Duration.millis(delayMillis))
  const batch = Effect.suspend(() => {
    hand(batchMax)
    return flusher.flush
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
