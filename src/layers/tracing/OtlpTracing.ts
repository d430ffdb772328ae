/**
 * Traces requests, and exports their spans with OTLP over HTTP.
 *
 * @since 0.1.0
 */
import { Effect, Layer, Random } from "effect"
import type { HttpClient } from "effect/http"
import type { RoutedRequest } from "../../services/RoutedRequest.ts"
import type { RequestRefused, RequestSettled, RouterEvent } from "../../services/RouterEvents.ts"
import type { Trace } from "../../services/Trace.ts"
import { Tracing } from "../../services/Tracing.ts"
import { counter, Labelled } from "../../support/metricSeries.ts"
import * as AttemptSpans from "./attemptSpans.ts"
import * as Exporter from "./exporter.ts"
import * as RefusedSpan from "./refusedSpan.ts"
import * as RequestSpans from "./requestSpans.ts"
import * as RequestTrace from "./requestTrace.ts"
import * as Sampler from "./sampler.ts"

/** How requests are chosen when they come: the names that OpenTelemetry gives them. @category models @since 0.1.0 */
export type SamplerName = Sampler.Name

/** All names of samplers. @category constants @since 0.1.0 */
export const samplers: ReadonlyArray<SamplerName> = Sampler.names

/** @category models @since 0.1.0 */
export interface Options {
  /** Where the collector takes traces, such as `http://127.0.0.1:4318/v1/traces`. */
  readonly url: string
  /** Headers of requests to the collector. Defaults to none. */
  readonly headers?: Readonly<Record<string, string>> | undefined
  /**
   * Defaults to `http/json`, which every collector takes on the same path. `http/protobuf` has four tenths of the
   * bytes, and Effect's encoder needs about 15 times the CPU time for it.
   */
  readonly protocol?: "http/json" | "http/protobuf" | undefined
  /** Defaults to `none`. */
  readonly compression?: "gzip" | "none" | undefined
  /** Defaults to `parentbased_always_on`. */
  readonly sampler?: SamplerName | undefined
  /** Share of the traces that `traceidratio` and `parentbased_traceidratio` choose, from 0 to 1. Defaults to `1`. */
  readonly ratio?: number | undefined
  /** Whether requests that fail are exported even if they were not chosen. Defaults to `true`. */
  readonly errors?: boolean | undefined
  /**
   * Milliseconds after which a request counts as slow: it is exported even if it was not chosen. Defaults to `60000`;
   * `Infinity` for none.
   */
  readonly slowMillis?: number | undefined
  /** Defaults to `llamero`. */
  readonly serviceName?: string | undefined
  /** More attributes of the process, such as `deployment.environment.name`. Defaults to none. */
  readonly resource?: Readonly<Record<string, string>> | undefined
  /** Longest time for one request to the collector, in milliseconds. Defaults to `10000`. */
  readonly timeoutMillis?: number | undefined
  /** Longest wait of a span for its batch, in milliseconds. Defaults to `5000`. */
  readonly delayMillis?: number | undefined
  /** Spans that may wait for the collector; more are dropped. Defaults to `2048`. */
  readonly queueMax?: number | undefined
  /** Most spans in one request to the collector, but for those of the last request. Defaults to `512`. */
  readonly batchMax?: number | undefined
}

const checked = (options: Options): Options => {
  const { batchMax = 1, queueMax = 1, ratio = 1 } = options
  if (!(ratio >= 0 && ratio <= 1)) throw new RangeError(`OtlpTracing.layer: ratio must be from 0 to 1, got ${ratio}`)
  for (const [name, value] of Object.entries({ batchMax, queueMax })) {
    if (!Number.isInteger(value) || value < 1) {
      throw new RangeError(`OtlpTracing.layer: ${name} must be a whole number of at least 1, got ${value}`)
    }
  }
  return options
}

const dropped = counter(
  "llamero_trace_spans_dropped_total",
  "Spans that the collector did not get: the queue was full (queue-full), or the call failed (export-failed)",
)

const make = Effect.fnUntraced(function* (options: Options) {
  const random = yield* Random.Random
  const source = () => random.nextDoubleUnsafe()
  const begin = RequestTrace.beginner(
    Sampler.make(options.sampler ?? "parentbased_always_on", options.ratio ?? 1),
    source,
  )
  const { errors = true, slowMillis = 60_000 } = options
  const drops = new Labelled(dropped, {}, "reason", yield* Effect.context<never>())
  // From the start, so that the first drop is an increase.
  for (const reason of ["queue-full", "export-failed"]) drops.add(reason, 0)
  const exporter = yield* Exporter.make({
    url: options.url,
    headers: options.headers ?? {},
    json: options.protocol !== "http/protobuf",
    gzip: options.compression === "gzip",
    serviceName: options.serviceName ?? "llamero",
    resource: options.resource ?? {},
    timeoutMillis: options.timeoutMillis ?? 10_000,
    delayMillis: options.delayMillis ?? 5000,
    queueMax: options.queueMax ?? 2048,
    batchMax: options.batchMax ?? 512,
    failed: (spans) => drops.add("export-failed", spans),
  })
  /** Where the queue is full, spans are counted and not made. */
  const attempts = (trace: Trace, at: number): void => {
    const about = { asked: undefined, kind: "chat", known: false, model: "" } as const
    if (exporter.full()) drops.add("queue-full", AttemptSpans.count(trace))
    else exporter.push(AttemptSpans.make(trace, about, at, source))
  }
  const refused = (event: RequestRefused, trace: Trace): void => {
    if (exporter.full()) drops.add("queue-full", 1)
    else exporter.push(RefusedSpan.make(event, trace))
  }
  const settled = (event: RequestSettled, trace: Trace): void => {
    if (exporter.full()) drops.add("queue-full", RequestSpans.count(event, trace))
    else exporter.push(RequestSpans.make(event, trace, source))
  }
  const isWanted = (trace: Trace, millis: number, failure: string | undefined): boolean =>
    trace.sampled || millis >= slowMillis || (errors && failure !== undefined)
  const take = (event: RouterEvent): void => {
    if (!("trace" in event) || event.trace === undefined) return
    const { trace } = event
    switch (event._tag) {
      case "AttemptFailed":
        return trace.sampled ? attempts(trace, event.at) : undefined
      case "RequestRefused":
        return isWanted(trace, event.at - event.arrivedAt, RefusedSpan.failure(event))
          ? refused(event, trace)
          : undefined
      case "RequestSettled":
        return isWanted(trace, event.totalMillis, RequestSpans.failure(event)) ? settled(event, trace) : undefined
    }
  }
  return { begin: ({ headers }: Pick<RoutedRequest, "headers">) => begin(headers), take }
})

/**
 * Tracing for `PipelineRouter`. Provide it to the stack: `Standard.layer().pipe(Layer.provide(OtlpTracing.layer(…)))`.
 *
 * **Details**
 *
 * A request has a span, with child spans for the time in guards, in the queue and during a load of its model, and for
 * each attempt; an attempt has one for the time in which its answer was passed on. They are made from the record of the
 * request, when it has ended. The backend gets the span of its attempt as `traceparent`, if the request was chosen.
 * Requests that share a call have a link to the span of that call.
 *
 * A request that failed or was slow is exported though it was not chosen. Its backend was not told, so it has no spans
 * of it. A request fails with a status of 500 and above, or with an answer that is not whole.
 *
 * A request that a server has refused before the router could take it has one span.
 *
 * A collector that is slow or gone has no effect on requests. Spans that find the queue full are dropped. After four
 * failures of one batch, all spans of the next minute are dropped, too. `llamero_trace_spans_dropped_total` counts
 * them.
 *
 * Ids are random numbers of `Random`. Throws a `RangeError` for a ratio or a number that cannot be.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: Options): Layer.Layer<never, never, HttpClient.HttpClient> =>
  Layer.effect(Tracing, make(checked(options)))
