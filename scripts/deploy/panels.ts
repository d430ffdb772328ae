/** What the dashboards show: a list of panels, each with its queries. */

export interface Query {
  readonly expr: string
  /** The name of a line, with labels in `{{}}`. */
  readonly legend: string
}

export interface Panel {
  readonly title: string
  readonly queries: ReadonlyArray<Query>
  /** Defaults to lines over time. */
  readonly shows?: "lines" | "stacked" | "number" | "states" | undefined
  /** Grafana's unit. Defaults to the unit in the name of the first metric. */
  readonly unit?: string | undefined
}

export interface Dashboard {
  readonly uid: string
  readonly title: string
  readonly panels: ReadonlyArray<Panel>
}

/** Each selector has it: the variable at the head of a dashboard. */
const at = `instance=~"$instance"`
const select = (name: string, more = "") => `${name}{${at}${more === "" ? "" : `, ${more}`}}`
const query = (expr: string, legend: string): Query => ({ expr, legend })
const lines = (title: string, ...queries: ReadonlyArray<Query>): Panel => ({ title, queries })

/** The sum of a gauge, by labels. */
const sum = (name: string, ...by: ReadonlyArray<string>) => `sum by (${by.join(", ")}) (${select(name)})`
/** Counts per second, by labels. */
const rate = (name: string, by: ReadonlyArray<string>, more = "") =>
  `sum by (${by.join(", ")}) (rate(${select(name, more)}[$__rate_interval]))`
/** A quantile of a histogram, by labels. */
const quantile = (q: number, name: string, ...by: ReadonlyArray<string>) =>
  `histogram_quantile(${q}, sum by (${["le", ...by].join(", ")}) (rate(${select(`${name}_bucket`)}[$__rate_interval])))`
/** The usual two quantiles. */
const quantiles = (title: string, name: string, ...by: ReadonlyArray<string>): Panel => {
  const legend = by.map((label) => `{{${label}}}`).join(" ")
  return lines(
    title,
    query(quantile(0.5, name, ...by), `half of ${legend}`),
    query(quantile(0.99, name, ...by), `99 % of ${legend}`),
  )
}

const vram: Dashboard = {
  uid: "llamero-vram",
  title: "llamero: GPU memory",
  panels: [
    {
      title: "Memory of the pool",
      shows: "stacked",
      queries: [
        query(`sum(${select("llamero_device_allocated_bytes")})`, "models"),
        query(`sum(${select("llamero_device_foreign_bytes")})`, "other programs"),
        query(`sum(${select("llamero_device_free_bytes")})`, "free"),
      ],
    },
    lines("Free memory", query(select("llamero_device_free_bytes"), "{{device}}")),
    lines(
      "Promised of what may be promised",
      query(`${select("llamero_device_allocated_bytes")} / ${select("llamero_device_capacity_bytes")}`, "{{device}}"),
    ),
    lines("Kept free", query(select("llamero_device_reserve_bytes"), "{{device}}")),
    {
      ...lines("Models in memory", query(select("llamero_model_vram_bytes"), "{{model}} on {{backend}}")),
      shows: "stacked",
    },
    lines(
      "Models with layers in system memory",
      query(`${select("llamero_model_bytes")} - ${select("llamero_model_vram_bytes")}`, "{{model}} on {{backend}}"),
    ),
    lines("Loads", query(rate("llamero_loads_total", ["model", "result"]), "{{model}} {{result}}")),
    lines("Evictions", query(rate("llamero_evictions_total", ["model", "backend"]), "{{model}} on {{backend}}")),
    lines("Loads for plans", query(rate("llamero_prewarms_total", ["model", "result"]), "{{model}} {{result}}")),
    lines("Spills", query(rate("llamero_spills_total", ["model", "backend"]), "{{model}} on {{backend}}")),
    lines("Temperature", query(select("llamero_device_temperature_celsius"), "{{device}}")),
    lines("Power", query(select("llamero_device_power_watts"), "{{device}}")),
    { ...lines("Devices without a fault", query(select("llamero_device_healthy"), "{{device}}")), shows: "states" },
    { ...lines("Devices that can be read", query(select("llamero_device_readable"), "{{device}}")), shows: "states" },
  ],
}

const queue: Dashboard = {
  uid: "llamero-queue",
  title: "llamero: queues",
  panels: [
    lines("Requests that wait", query(sum("llamero_queue_depth", "model"), "{{model}}")),
    lines("Oldest request", query(`max by (model) (${select("llamero_queue_oldest_seconds")})`, "{{model}}")),
    quantiles("Wait", "llamero_queue_wait_seconds", "model"),
    quantiles("Wait for a load", "llamero_load_wait_seconds", "model"),
    lines("Sheds", query(rate("llamero_sheds_total", ["model", "reason"]), "{{model}} {{reason}}")),
    lines("Cold starts", query(rate("llamero_cold_starts_total", ["model"]), "{{model}}")),
    lines("Bytes that wait", query(sum("llamero_queue_bytes", "instance"), "{{instance}}")),
    lines("Shared answers", query(rate("llamero_coalesced_total", ["model", "how"]), "{{model}} {{how}}")),
  ],
}

const tokens: Dashboard = {
  uid: "llamero-tokens",
  title: "llamero: tokens",
  panels: [
    lines("Tokens of answers per second", query(rate("llamero_tokens_total", ["model"], `type="out"`), "{{model}}")),
    lines("Tokens of prompts per second", query(rate("llamero_tokens_total", ["model"], `type="in"`), "{{model}}")),
    quantiles("Rate of one answer", "llamero_answer_tokens_per_second", "model"),
    quantiles("First byte", "llamero_time_to_first_byte_seconds", "model"),
    quantiles("Longest gap of a stream", "llamero_stream_gap_seconds", "model"),
    lines("Streams", query(sum("llamero_streams", "backend"), "{{backend}}")),
  ],
}

const breakers: Dashboard = {
  uid: "llamero-breakers",
  title: "llamero: breakers and backends",
  panels: [
    {
      ...lines(
        "Breakers: 0 closed, 1 half-open, 2 open, 3 isolated",
        query(select("llamero_breaker_state"), "{{backend}} {{model}}"),
      ),
      shows: "states",
    },
    lines(
      "Transitions of breakers",
      query(rate("llamero_breaker_transitions_total", ["backend", "to"]), "{{backend}} {{to}}"),
    ),
    { ...lines("Healthy backends", query(select("llamero_backend_healthy"), "{{backend}}")), shows: "states" },
    lines(
      "Changes of health",
      query(rate("llamero_health_transitions_total", ["backend", "to"]), "{{backend}} {{to}}"),
    ),
    lines(
      "Attempts by how they ended",
      query(rate("llamero_attempts_total", ["backend", "outcome"]), "{{backend}} {{outcome}}"),
    ),
    lines("Retries", query(rate("llamero_retries_total", ["model"]), "{{model}}")),
    lines("Retry budget", query(select("llamero_retry_budget"), "{{instance}}")),
    { ...lines("Ready", query(select("llamero_ready"), "{{instance}}")), shows: "states" },
  ],
}

const latency: Dashboard = {
  uid: "llamero-latency",
  title: "llamero: latency",
  panels: [
    quantiles("What the router adds", "llamero_routing_duration_seconds", "route"),
    quantiles("Whole request", "llamero_request_duration_seconds", "model"),
    quantiles("Queue and load", "llamero_queue_wait_seconds", "model"),
    quantiles("Backend", "llamero_backend_duration_seconds", "backend"),
    quantiles("First byte", "llamero_time_to_first_byte_seconds", "backend"),
    quantiles("Load of a model", "llamero_load_duration_seconds", "model"),
    quantiles("Guards", "llamero_guard_duration_seconds", "guard"),
    quantiles("Plugins of placement", "llamero_plugin_duration_seconds", "kind", "plugin"),
    quantiles("Event loop", "llamero_event_loop_lag_seconds", "instance"),
  ],
}

const capacity: Dashboard = {
  uid: "llamero-capacity",
  title: "llamero: capacity",
  panels: [
    lines("Requests", query(rate("llamero_requests_total", ["route", "status"]), "{{route}} {{status}}")),
    lines("Requests by model", query(rate("llamero_requests_total", ["model", "result"]), "{{model}} {{result}}")),
    lines("Requests under way", query(sum("llamero_active_requests", "instance"), "{{instance}}")),
    lines(
      "Streams and their limit",
      query(sum("llamero_streams", "backend"), "{{backend}}"),
      query(sum("llamero_concurrency_limit", "backend", "model"), "limit of {{model}} on {{backend}}"),
    ),
    lines("Use of devices", query(select("llamero_device_utilization_ratio"), "{{device}}")),
    lines("Open connections", query(select("llamero_connections"), "{{instance}}")),
    lines(
      "Memory of the process",
      query(select("llamero_resident_memory_bytes"), "resident {{instance}}"),
      query(select("llamero_heap_used_bytes"), "heap {{instance}}"),
      query(select("llamero_external_bytes"), "buffers {{instance}}"),
    ),
    lines("Events that were lost", query(rate("llamero_events_lost_total", ["instance"]), "{{instance}}")),
    lines(
      "Spans that were lost",
      query(rate("llamero_trace_spans_dropped_total", ["instance", "reason"]), "{{instance}} {{reason}}"),
    ),
  ],
}

const perTenant = (more: string, by: string) =>
  `sum by (${by}) (increase(${select("llamero_tenant_cost_total")}[1h])) ${more}`
const requestsOf = (by: string) => `/ sum by (${by}) (increase(${select("llamero_tenant_requests_total")}[1h])) * 1000`
const tokensOf = (by: string) => `/ sum by (${by}) (increase(${select("llamero_tenant_tokens_total")}[1h])) * 1e6`

const cost: Dashboard = {
  uid: "llamero-cost",
  title: "llamero: cost",
  panels: [
    {
      ...lines("Cost of 1,000 requests, by model", query(perTenant(requestsOf("model"), "model"), "{{model}}")),
      unit: "short",
    },
    {
      ...lines("Cost of 1,000 requests, by tenant", query(perTenant(requestsOf("tenant"), "tenant"), "{{tenant}}")),
      unit: "short",
    },
    {
      ...lines("Cost of a million tokens, by model", query(perTenant(tokensOf("model"), "model"), "{{model}}")),
      unit: "short",
    },
    {
      ...lines("Cost of a million tokens, by tenant", query(perTenant(tokensOf("tenant"), "tenant"), "{{tenant}}")),
      unit: "short",
    },
    {
      ...lines("Price of the fleet per hour", query(`sum(${select("llamero_backend_price_per_hour")})`, "fleet")),
      shows: "number",
    },
    {
      ...lines(
        "Share of the price that requests have used",
        query(
          `sum(increase(${select("llamero_tenant_cost_total")}[1h])) / sum(${
            select("llamero_backend_price_per_hour")
          })`,
          "used",
        ),
      ),
      unit: "percentunit",
    },
  ],
}

/** The four that say first what the fleet is doing, then the others. */
export const dashboards: ReadonlyArray<Dashboard> = [vram, queue, tokens, breakers, latency, capacity, cost]
