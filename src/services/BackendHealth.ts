/**
 * Is each backend alive and ready? Probed on a schedule, and told by the outcome of every attempt.
 *
 * @since 0.1.0
 */
import { Context, type Effect } from "effect"
import type { Outcome } from "./Outcome.ts"

/** `unknown` until the first probe ends: such a backend may be tried, after those known to be healthy. @category models @since 0.1.0 */
export type HealthState = "unknown" | "healthy" | "unhealthy"

/**
 * What is known of one backend.
 *
 * @category models
 * @since 0.1.0
 */
export interface BackendStatus {
  readonly state: HealthState
  /** Why, in words for a person; empty when healthy. */
  readonly reason: string
  /** When the state was entered, in milliseconds by the router's clock. */
  readonly since: number
  /** Of the Ollama server, once it has said it. */
  readonly version: string | undefined
}

/** @category models @since 0.1.0 */
export interface HealthChange {
  readonly backend: string
  readonly from: HealthState
  readonly status: BackendStatus
}

/**
 * Health of the fleet.
 *
 * @category services
 * @since 0.1.0
 */
export class BackendHealth extends Context.Service<BackendHealth, {
  /** Synchronous; a backend never heard of is `unknown`. */
  readonly status: (backend: string) => BackendStatus
  /** What an attempt said about a backend. Synchronous. */
  readonly record: (backend: string, outcome: Outcome) => void
  /** Probes every backend now and waits for the answers, each within the probe's limit. */
  readonly check: Effect.Effect<void>
  /** Called synchronously after each change. Returns the way to stop. */
  readonly onChange: (listener: (change: HealthChange) => void) => () => void
}>()("llamero/services/BackendHealth") {}
