/**
 * Knows whether each backend answers, from probes on a schedule and from the outcome of every attempt.
 *
 * @since 0.1.0
 */
import { Context, type Effect } from "effect"
import type { Outcome } from "./Outcome.ts"

/**
 * `unknown` until the first probe ends. Such a backend may be tried, after the healthy ones.
 *
 * @category models
 * @since 0.1.0
 */
export type HealthState = "unknown" | "healthy" | "unhealthy"

/**
 * The status of one backend.
 *
 * @category models
 * @since 0.1.0
 */
export interface BackendStatus {
  readonly state: HealthState
  /** The reason for the state, for people; empty when healthy. */
  readonly reason: string
  /** When the state began, in milliseconds since the epoch by the router's clock. */
  readonly since: number
  /** Version of the Ollama server, once a probe has read it. */
  readonly version: string | undefined
}

/** @category models @since 0.1.0 */
export interface HealthChange {
  readonly backend: string
  readonly from: HealthState
  readonly status: BackendStatus
}

const key = "llamero/services/BackendHealth"
const Base: Context.ServiceClass<BackendHealth, typeof key, Service> = Context.Service<BackendHealth, Service>()(key)

/**
 * Health of the fleet.
 *
 * @category services
 * @since 0.1.0
 */
export class BackendHealth extends Base {}

/** The members of `BackendHealth`. @category services @since 0.1.0 */
export interface Service {
  /** Synchronous. A backend that is not in the fleet is `unknown`. */
  readonly status: (backend: string) => BackendStatus
  /** Takes in the outcome of an attempt on a backend. Synchronous. */
  readonly record: (backend: string, outcome: Outcome) => void
  /** Probes every backend now and waits for the answers, each up to the time limit of a probe. */
  readonly check: Effect.Effect<void>
  /** Adds a listener that is called synchronously after each change. Returns the function that removes it. */
  readonly onChange: (listener: (change: HealthChange) => void) => () => void
}
