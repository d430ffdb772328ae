/** The recording rules and the alerts. */

/** `page`: somebody has to act now. `ticket`: somebody has to look in working hours. */
export type Severity = "page" | "ticket"

export interface Recording {
  readonly record: string
  readonly expr: string
}

export interface Alert {
  readonly alert: string
  readonly expr: string
  readonly for: string
  readonly severity: Severity
  /** A sentence with labels of the alert in Prometheus' templates. */
  readonly summary: string
}

/** Of a hundred requests the router adds more than 10 milliseconds to one at most. */
const slow = (window: string) =>
  `1 - sum by (instance) (rate(llamero_routing_duration_seconds_bucket{le="0.01"}[${window}])) / ` +
  `sum by (instance) (rate(llamero_routing_duration_seconds_count[${window}]))`
const allowed = 0.01

export const recordings: ReadonlyArray<Recording> = [
  {
    record: "instance_model_status:llamero_requests:rate5m",
    expr: "sum by (instance, model, status) (rate(llamero_requests_total[5m]))",
  },
  {
    record: "instance_model:llamero_answer_tokens:rate5m",
    expr: `sum by (instance, model) (rate(llamero_tokens_total{type="out"}[5m]))`,
  },
  {
    record: "instance:llamero_sheds:ratio_rate5m",
    expr: "sum by (instance) (rate(llamero_sheds_total[5m])) / sum by (instance) (rate(llamero_requests_total[5m]))",
  },
  {
    record: "model:llamero_time_to_first_byte_seconds:p99_5m",
    expr: "histogram_quantile(0.99, sum by (model, le) (rate(llamero_time_to_first_byte_seconds_bucket[5m])))",
  },
  ...["5m", "30m", "1h", "6h"].map((window) => ({
    record: `instance:llamero_routing_slow:ratio_rate${window}`,
    expr: slow(window),
  })),
  {
    record: "tenant_model:llamero_tenant_cost:increase1h",
    expr: "sum by (tenant, model) (increase(llamero_tenant_cost_total[1h]))",
  },
]

/** More of the allowed share than `factor` times what lasts for the whole period, in a long and a short window. */
const burns = (factor: number, long: string, short: string): string =>
  [long, short].map((window) => `instance:llamero_routing_slow:ratio_rate${window} > ${(factor * allowed).toFixed(3)}`)
    .join(" and ")

export const alerts: ReadonlyArray<Alert> = [
  {
    alert: "LlameroDown",
    expr: `up{job=~"llamero.*"} == 0`,
    for: "1m",
    severity: "page",
    summary: "The router {{ $labels.instance }} does not answer Prometheus.",
  },
  {
    alert: "LlameroNotReady",
    expr: "llamero_ready == 0",
    for: "2m",
    severity: "page",
    summary: "The router {{ $labels.instance }} takes no requests.",
  },
  {
    alert: "LlameroBackendUnhealthy",
    expr: "llamero_backend_healthy == 0",
    for: "5m",
    severity: "ticket",
    summary: "The backend {{ $labels.backend }} is not healthy.",
  },
  {
    alert: "LlameroLowGpuMemory",
    expr: "llamero_device_free_bytes < 3e9",
    for: "1m",
    severity: "ticket",
    summary: "{{ $labels.device }} has {{ $value | humanize1024 }}B of free memory.",
  },
  {
    alert: "LlameroGpuFault",
    expr: "llamero_device_healthy == 0 or llamero_device_readable == 0",
    for: "2m",
    severity: "page",
    summary: "{{ $labels.device }} has a fault or cannot be read.",
  },
  {
    alert: "LlameroGpuMemoryGrows",
    expr:
      "min_over_time(llamero_device_foreign_bytes[10m]) - min_over_time(llamero_device_foreign_bytes[10m] offset 30m) > 1e9",
    for: "10m",
    severity: "ticket",
    summary: "On {{ $labels.device }}, {{ $value | humanize1024 }}B were taken that belong to no model of the router.",
  },
  {
    alert: "LlameroModelSpilled",
    expr: "llamero_model_bytes > llamero_model_vram_bytes and on (instance, backend, model) llamero_spills_total > 0",
    for: "1m",
    severity: "ticket",
    summary: "{{ $labels.model }} on {{ $labels.backend }} has layers in system memory.",
  },
  {
    alert: "LlameroQueueLong",
    expr: "sum by (instance, model) (llamero_queue_depth) > 50",
    for: "60s",
    severity: "page",
    summary: "{{ $value }} requests wait for {{ $labels.model }}.",
  },
  {
    alert: "LlameroShedding",
    expr: "instance:llamero_sheds:ratio_rate5m > 0.05",
    for: "2m",
    severity: "page",
    summary: "{{ $labels.instance }} refuses {{ $value | humanizePercentage }} of the requests because of load.",
  },
  {
    alert: "LlameroTokensStalled",
    expr: `sum by (instance) (rate(llamero_tokens_total{type="out"}[5m])) == 0 ` +
      `and sum by (instance) (min_over_time(llamero_streams[5m])) > 0 ` +
      `and sum by (instance) (increase(llamero_tokens_total{type="out"}[1h])) > 0`,
    for: "5m",
    severity: "page",
    summary: "Streams of {{ $labels.instance }} go on, and no answer has come to its end.",
  },
  {
    alert: "LlameroBreakerFlaps",
    expr: `sum by (instance, backend) (increase(llamero_breaker_transitions_total{to="open"}[15m])) > 3`,
    for: "0s",
    severity: "ticket",
    summary: "The breaker of {{ $labels.backend }} opens again and again.",
  },
  {
    alert: "LlameroRoutingSlowNow",
    expr: burns(14.4, "1h", "5m"),
    for: "2m",
    severity: "page",
    summary: "{{ $labels.instance }} adds more than 10 ms to {{ $value | humanizePercentage }} of the requests.",
  },
  {
    alert: "LlameroRoutingSlow",
    expr: burns(6, "6h", "30m"),
    for: "15m",
    severity: "ticket",
    summary: "{{ $labels.instance }} adds more than 10 ms to {{ $value | humanizePercentage }} of the requests.",
  },
  {
    alert: "LlameroEventsLost",
    expr: "increase(llamero_events_lost_total[15m]) > 0",
    for: "0s",
    severity: "ticket",
    summary: "{{ $labels.instance }} has lost events: its counters are too low.",
  },
  {
    alert: "LlameroSpansLost",
    // One short outage of the collector is within the window of increase, and does not last as long as the wait.
    expr: "sum by (instance, reason) (increase(llamero_trace_spans_dropped_total[15m])) > 0",
    for: "20m",
    severity: "ticket",
    summary: "Spans of {{ $labels.instance }} do not reach the collector: {{ $labels.reason }}.",
  },
]

/** Seconds of a duration in Prometheus' notation. */
const secondsOf = (text: string): number => Number(text.slice(0, -1)) * { s: 1, m: 60, h: 3600 }[text.slice(-1) as "s"]

const shorten = (factor: number) => (text: string): string => {
  const seconds = secondsOf(text)
  return seconds === 0 ? text : `${Math.max(4, Math.round(seconds / factor))}s`
}

/** The rules with all windows and waits shorter, for tests: nobody waits six hours. */
export const shortened = (factor: number) => {
  const short = shorten(factor)
  const shortExpr = (expr: string) => expr.replaceAll(/(?<=\[|offset )\d+[smh]/g, short)
  return {
    recordings: recordings.map((rule) => ({ ...rule, expr: shortExpr(rule.expr) })),
    alerts: alerts.map((rule) => ({ ...rule, expr: shortExpr(rule.expr), for: short(rule.for) })),
  }
}
