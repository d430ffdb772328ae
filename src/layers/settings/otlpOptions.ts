/**
 * What the layers of OpenTelemetry get from the settings.
 *
 * @since 0.1.0
 */
import type { Collector, Metrics, Sampling } from "./values.ts"

/** @internal */
export const tracing = <Name extends string>(settings: Collector & Sampling<Name>) => {
  const { otelDisabled, otlpEndpoint, resource, tracesEndpoint, tracesExporter, tracesProtocol } = settings
  const url = tracesEndpoint || (otlpEndpoint && `${otlpEndpoint.replace(/\/+$/, "")}/v1/traces`)
  if (url === "" || otelDisabled || tracesExporter === "none" || tracesProtocol === "grpc") return undefined
  return {
    url,
    headers: settings.tracesHeaders,
    protocol: tracesProtocol,
    compression: settings.tracesCompression,
    sampler: settings.sampler,
    ratio: settings.samplerRatio,
    errors: settings.traceErrors,
    slowMillis: settings.traceSlowMillis,
    serviceName: settings.serviceName,
    resource,
    timeoutMillis: settings.tracesTimeoutMillis,
    delayMillis: settings.spanDelayMillis,
    queueMax: settings.spanQueueMax,
    batchMax: settings.spanBatchMax,
  }
}

/** @internal */
export const metrics = (settings: Metrics & Collector) => {
  const { metricsEndpoint, metricsExporter, metricsProtocol, otelDisabled, otlpEndpoint } = settings
  const url = metricsEndpoint || (otlpEndpoint && `${otlpEndpoint.replace(/\/+$/, "")}/v1/metrics`)
  if (metricsExporter !== "otlp" || url === "" || otelDisabled || metricsProtocol === "grpc") return undefined
  return {
    url,
    headers: settings.metricsHeaders,
    protocol: metricsProtocol,
    compression: settings.metricsCompression,
    intervalMillis: settings.metricsMillis,
    timeoutMillis: settings.metricsTimeoutMillis,
    temporality: settings.metricsTemporality === "cumulative" ? "cumulative" as const : "delta" as const,
    serviceName: settings.serviceName,
    resource: settings.resource,
  }
}
