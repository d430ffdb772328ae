/**
 * What the layers of OpenTelemetry get from the settings.
 *
 * @since 0.1.0
 */
import type * as OtlpMetrics from "../routes/OtlpMetrics.ts"
import type * as OtlpTracing from "../tracing/OtlpTracing.ts"
import type * as Values from "./values.ts"

/**
 * What `OtlpTracing.layer` needs to know. `undefined` where no collector is set, or where traces are turned off.
 *
 * @category settings
 * @since 0.1.0
 */
export const tracing = (
  settings: Values.Collector & Values.Sampling<OtlpTracing.SamplerName>,
): OtlpTracing.Options | undefined => {
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

/**
 * What `OtlpMetrics.layer` needs to know. `undefined` where `OTEL_METRICS_EXPORTER` is not `otlp`, or no collector is
 * set.
 *
 * @category settings
 * @since 0.1.0
 */
export const metrics = (settings: Values.Metrics & Values.Collector): OtlpMetrics.Options | undefined => {
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
    temporality: settings.metricsTemporality === "cumulative" ? "cumulative" : "delta",
    serviceName: settings.serviceName,
    resource: settings.resource,
  }
}
