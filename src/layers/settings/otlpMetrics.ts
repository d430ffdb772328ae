/**
 * Settings: metrics for a collector, by the variables that OpenTelemetry names.
 *
 * @since 0.1.0
 */
import * as Kinds from "./kinds.ts"
import * as Parse from "./parse.ts"
import { headers, url } from "./tracing.ts"
import type { Metrics, Table } from "./values.ts"
import { type Kind, variable } from "./variable.ts"

/** The exporters that OpenTelemetry names. The variable may be set for a whole machine, so all of them are known. */
const exporters = ["otlp", "prometheus", "console", "none"]

/** Whether metrics are sent. */
const exporter: Kind<"otlp" | "none"> = Kinds.text(`one or more of ${exporters.join(", ")}`, (text) => {
  const names = Parse.list(text.toLowerCase())
  if (names.length === 0 || names.some((name) => !exporters.includes(name))) return undefined
  return names.includes("otlp") ? "otlp" : "none"
})

/** Where metrics go, besides `/metrics`. @internal */
export const metrics: Table<Metrics> = {
  metrics: variable(
    "LLAMERO_METRICS",
    "Whether requests are counted; without that, /metrics has the gauges only",
    Kinds.onOff,
    "on",
  ),
  metricsExporter: variable(
    "OTEL_METRICS_EXPORTER",
    "otlp to send metrics to the collector, too; all else for /metrics only",
    exporter,
    "prometheus",
  ),
  metricsEndpoint: variable(
    "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT",
    "The whole URL that takes metrics, where it is another one",
    url,
    "",
    "",
  ),
  metricsHeaders: {
    ...variable(
      "OTEL_EXPORTER_OTLP_METRICS_HEADERS",
      "Headers for the collector; OTEL_EXPORTER_OTLP_HEADERS counts when it is not set",
      headers,
      "",
    ),
    also: "OTEL_EXPORTER_OTLP_HEADERS",
  },
  metricsProtocol: {
    ...variable(
      "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL",
      "http/json or http/protobuf; OTEL_EXPORTER_OTLP_PROTOCOL counts when it is not set",
      Kinds.oneOf(["http/protobuf", "http/json", "grpc"]),
      "http/json",
    ),
    also: "OTEL_EXPORTER_OTLP_PROTOCOL",
  },
  metricsCompression: {
    ...variable(
      "OTEL_EXPORTER_OTLP_METRICS_COMPRESSION",
      "gzip or none; OTEL_EXPORTER_OTLP_COMPRESSION counts when it is not set",
      Kinds.oneOf(["none", "gzip"]),
      "none",
    ),
    also: "OTEL_EXPORTER_OTLP_COMPRESSION",
  },
  metricsTimeoutMillis: {
    ...variable(
      "OTEL_EXPORTER_OTLP_METRICS_TIMEOUT",
      "Longest time for one call of the collector, in milliseconds; OTEL_EXPORTER_OTLP_TIMEOUT counts when it is not set",
      Kinds.atLeast(1),
      "10000",
    ),
    also: "OTEL_EXPORTER_OTLP_TIMEOUT",
  },
  metricsTemporality: variable(
    "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE",
    "Whether counters are sums since the start (cumulative) or since the last export (delta, lowmemory)",
    Kinds.oneOf(["cumulative", "delta", "lowmemory"]),
    "cumulative",
  ),
  metricsMillis: variable(
    "OTEL_METRIC_EXPORT_INTERVAL",
    "Time between two exports of metrics, in milliseconds",
    Kinds.atLeast(1),
    "60000",
  ),
}
