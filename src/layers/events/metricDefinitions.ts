/**
 * The metrics that are counted from events: their names and descriptions.
 *
 * @since 0.1.0
 */
import { counter, type Definition, histogram } from "../../support/metricSeries.ts"

// From a shed, which takes less than a millisecond, to a long answer. Each default limit (30 s, 120 s, 300 s) is a
// boundary.
const boundaries = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300]
const seconds = (name: string, description: string) => histogram(name, description, boundaries)

// The router adds some ten microseconds. A guard that asks another service adds milliseconds.
const short = [0.000_01, 0.000_025, 0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.25, 1]

// From a large model on a CPU to a small one on a large GPU.
const rates = [1, 2, 5, 10, 20, 30, 50, 75, 100, 150, 200, 300, 500, 1000]

export const requests: Definition = counter("llamero_requests_total", "Requests settled")
export const duration: Definition = seconds("llamero_request_duration_seconds", "From arrival to the end of the answer")
export const routing: Definition = histogram(
  "llamero_routing_duration_seconds",
  "What the router itself adds: from arrival to dispatch and from the last byte in to the last byte out, without the " +
    "waits for a slot and a load; of requests with one attempt every 16th is measured",
  short,
)
export const wait: Definition = seconds(
  "llamero_queue_wait_seconds",
  "From arrival to the last commit, of requests that had one",
)
export const loadWait: Definition = seconds(
  "llamero_load_wait_seconds",
  "From arrival to the last commit, of requests that waited for a load of their model",
)
export const firstByte: Definition = seconds(
  "llamero_time_to_first_byte_seconds",
  "From sending to a backend's first byte",
)
export const backendTime: Definition = seconds(
  "llamero_backend_duration_seconds",
  "From sending to the last byte of a complete answer",
)
export const gap: Definition = seconds(
  "llamero_stream_gap_seconds",
  "The longest gap between two chunks of a complete answer",
)
export const tokens: Definition = counter(
  "llamero_tokens_total",
  "Tokens that backends have reported: of prompts (in), of answers (out)",
)
export const tokenRate: Definition = histogram(
  "llamero_answer_tokens_per_second",
  "Tokens per second of one answer, from its first byte to its last",
  rates,
)
export const sheds: Definition = counter("llamero_sheds_total", "Requests refused because of load")
export const attempts: Definition = counter("llamero_attempts_total", "Exchanges with backends, by how they ended")
export const retries: Definition = counter("llamero_retries_total", "Attempts after the first")
export const hedges: Definition = counter("llamero_hedges_total", "Second attempts beside slow first ones")
export const loads: Definition = counter("llamero_loads_total", "Loads of models that ended")
export const loading: Definition = seconds("llamero_load_duration_seconds", "Duration of loads that succeeded")
export const shadows: Definition = counter(
  "llamero_shadow_decisions_total",
  "Decisions that a shadow placement was asked about",
)
export const spills: Definition = counter("llamero_spills_total", "Models found with layers in system memory")
export const coalesced: Definition = counter("llamero_coalesced_total", "Requests answered by another's upstream call")
export const cold: Definition = counter("llamero_cold_starts_total", "Requests that waited for a load of their model")
export const rewrites: Definition = counter("llamero_rewrites_total", "Options of clients that were not passed on")
export const breaker: Definition = counter("llamero_breaker_transitions_total", "Transitions of breakers")
export const health: Definition = counter("llamero_health_transitions_total", "Changes of backends' health")
export const reloads: Definition = counter(
  "llamero_reloads_total",
  "Reloads of settings, fleet and keys: done, or refused because something was wrong",
)
export const tenantCost: Definition = counter(
  "llamero_tenant_cost_total",
  "What requests cost, in the unit of the backends' `price`; only backends with a price count",
)
export const tenantRequests: Definition = counter(
  "llamero_tenant_requests_total",
  "Requests that backends with a price have served",
)
export const tenantTokens: Definition = counter(
  "llamero_tenant_tokens_total",
  "Tokens of those requests: of prompts (in), of answers (out)",
)
