/**
 * Settings: traces, by the variables that OpenTelemetry names.
 *
 * @since 0.1.0
 */
import * as Kinds from "./kinds.ts"
import * as Natural from "./natural.ts"
import * as Parse from "./parse.ts"
import type { Collector, Sampling, Table } from "./values.ts"
import { type Kind, variable } from "./variable.ts"

/** The text of a value of OpenTelemetry's lists, in which some characters are written with a `%`. */
const decoded = (text: string): string | undefined => {
  try {
    return decodeURIComponent(text)
  } catch {
    return undefined
  }
}

/** Names with values, as OpenTelemetry writes them. */
const pairs = (text: string): Readonly<Record<string, string>> | undefined => {
  const found = Parse.list(text).map((part) => /^([^=]+?)\s*=\s*(.*)$/.exec(part))
  const values = found.map((pair) => [pair?.[1] ?? "", decoded(pair?.[2] ?? "")] as const)
  return found.every((pair) => pair !== null) && values.every(([, value]) => value !== undefined)
    ? Object.fromEntries(values) as Readonly<Record<string, string>>
    : undefined
}

/**
 * Values may be secrets, and an error message would print them: a part that is wrong is left out.
 *
 * @internal
 */
export const headers: Kind<Readonly<Record<string, string>>> = {
  wanted: "names with values",
  parse: (text) => Object.assign({}, ...Parse.list(text).map((part) => pairs(part) ?? {})),
  natural: Natural.record("names with values", Natural.text("a text", (text) => text)),
  isSecret: true,
}

const attributes: Kind<Readonly<Record<string, string>>> = {
  wanted: "names with values and commas between, such as deployment.environment.name=production,host.name=a",
  parse: pairs,
  natural: Natural.record("names with values", Natural.text("a text", (text) => text)),
}

/** @internal */
export const url: Kind<string> = Kinds.text(
  "the URL of a collector, such as http://127.0.0.1:4318",
  (text) => /^https?:\/\//i.test(text) && URL.canParse(text) ? text : undefined,
  { pattern: "^https?://" },
)

const share: Kind<number> = {
  wanted: "a share from 0 to 1, such as 0.01",
  parse: (text) => {
    const value = Parse.decimal(text)
    return value !== undefined && value <= 1 ? value : undefined
  },
  natural: Natural.decimal("a share from 0 to 1, such as 0.01", 1),
}

/** Where traces go. @internal */
export const collector: Table<Collector> = {
  otlpEndpoint: variable(
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "The OpenTelemetry collector; with it, requests are traced, and traces go to its path /v1/traces, metrics to /v1/metrics",
    url,
    "",
    "",
  ),
  tracesEndpoint: variable(
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    "The whole URL that takes traces, where it is another one",
    url,
    "",
    "",
  ),
  tracesHeaders: {
    ...variable(
      "OTEL_EXPORTER_OTLP_TRACES_HEADERS",
      "Headers for the collector, such as api-key=secret; OTEL_EXPORTER_OTLP_HEADERS counts when it is not set",
      headers,
      "",
    ),
    also: "OTEL_EXPORTER_OTLP_HEADERS",
  },
  tracesProtocol: {
    ...variable(
      "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL",
      "http/json, or http/protobuf with four tenths of the bytes and 15 times the CPU time; " +
        "OTEL_EXPORTER_OTLP_PROTOCOL counts when it is not set",
      Kinds.oneOf(["http/protobuf", "http/json", "grpc"]),
      "http/json",
    ),
    also: "OTEL_EXPORTER_OTLP_PROTOCOL",
  },
  tracesCompression: {
    ...variable(
      "OTEL_EXPORTER_OTLP_TRACES_COMPRESSION",
      "gzip or none; OTEL_EXPORTER_OTLP_COMPRESSION counts when it is not set",
      Kinds.oneOf(["none", "gzip"]),
      "none",
    ),
    also: "OTEL_EXPORTER_OTLP_COMPRESSION",
  },
  tracesTimeoutMillis: {
    ...variable(
      "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT",
      "Longest time for one call of the collector, in milliseconds; OTEL_EXPORTER_OTLP_TIMEOUT counts when it is not set",
      Kinds.atLeast(1),
      "10000",
    ),
    also: "OTEL_EXPORTER_OTLP_TIMEOUT",
  },
  tracesExporter: variable(
    "OTEL_TRACES_EXPORTER",
    "otlp, or none for no traces",
    Kinds.oneOf(["otlp", "none"]),
    "otlp",
  ),
  otelDisabled: variable(
    "OTEL_SDK_DISABLED",
    "true for no traces, and no metrics to the collector",
    Kinds.onOff,
    "false",
  ),
  serviceName: variable("OTEL_SERVICE_NAME", "The name of this router in traces and metrics", Kinds.label, "llamero"),
  resource: variable(
    "OTEL_RESOURCE_ATTRIBUTES",
    "Attributes of this router in traces and metrics, such as deployment.environment.name=production",
    attributes,
    "",
  ),
  spanDelayMillis: variable(
    "OTEL_BSP_SCHEDULE_DELAY",
    "Longest wait of a span for its batch, in milliseconds",
    Kinds.atLeast(1),
    "5000",
  ),
  spanQueueMax: variable(
    "OTEL_BSP_MAX_QUEUE_SIZE",
    "Spans that may wait for the collector; more are dropped",
    Kinds.atLeast(1),
    "2048",
  ),
  spanBatchMax: variable("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "Most spans in one call", Kinds.atLeast(1), "512"),
}

/** Which requests are traced. `samplers`: the names of samplers. @internal */
export const sampling = <const S extends string>(samplers: ReadonlyArray<S>): Table<Sampling<S>> => ({
  sampler: variable(
    "OTEL_TRACES_SAMPLER",
    `How requests are chosen: ${samplers.join(", ")}`,
    Kinds.oneOf(samplers),
    "parentbased_always_on",
  ),
  samplerRatio: variable("OTEL_TRACES_SAMPLER_ARG", "Share of the traces that a sampler by ratio chooses", share, "1"),
  traceErrors: variable(
    "LLAMERO_TRACE_ERRORS",
    "Whether requests that fail are exported though they were not chosen",
    Kinds.onOff,
    "on",
  ),
  traceSlowMillis: variable(
    "LLAMERO_TRACE_SLOW",
    "Requests that take so long are exported though they were not chosen",
    Kinds.optionalDuration,
    "60s",
  ),
})
