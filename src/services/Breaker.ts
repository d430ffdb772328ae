/**
 * Stops sending work to what keeps failing, and lets exactly one trial find out whether it is back.
 *
 * @since 0.1.0
 */
import { Context, type Stream } from "effect"
import type { Outcome } from "./Outcome.ts"

/**
 * - `closed`: everything passes.
 * - `open`: nothing does, for a time.
 * - `half-open`: one trial does.
 * - `isolated`: nothing does, until an operator says otherwise.
 *
 * @category models
 * @since 0.1.0
 */
export type BreakerState = "closed" | "open" | "half-open" | "isolated"

/**
 * What is broken: a backend (nothing on it answers), or one model on it (an embedder that fails does not take the chat model down).
 *
 * @category models
 * @since 0.1.0
 */
export interface BreakerKey {
  readonly backend: string
  /** Canonical key of the model; absent for the backend as a whole. */
  readonly model?: string | undefined
}

/**
 * The right to make one attempt. Exactly one of many calls to `record` counts; a permit never recorded is released as `ignored`.
 *
 * @category models
 * @since 0.1.0
 */
export interface Permit {
  /** Whether this is the one trial of a half-open breaker. */
  readonly trial: boolean
  readonly record: (outcome: Outcome) => void
}

/** @category models @since 0.1.0 */
export interface BreakerTransition {
  readonly key: BreakerKey
  readonly from: BreakerState
  readonly to: BreakerState
  /** Milliseconds by the router's clock. */
  readonly at: number
}

/**
 * Permits for attempts. Decisions are local and synchronous, so that they can be the last step of a commit; a shared store only carries transitions.
 *
 * @category services
 * @since 0.1.0
 */
export class Breaker extends Context.Service<Breaker, {
  /** Takes a permit for a model on a backend, or says no. A permit covers the backend's breaker and the model's. */
  readonly acquire: (backend: string, model: string) => Permit | undefined
  /** The worse of the backend's state and the model's there. */
  readonly state: (backend: string, model?: string) => BreakerState
  /** Milliseconds until an open breaker lets a trial through; `0` when it would now. */
  readonly retryMillis: (backend: string, model: string) => number
  /** Holds a backend out, or one model on it, until `restore`: no outcome and no time changes it. In this process only. */
  readonly isolate: (key: BreakerKey) => void
  /** Closes what was isolated; does nothing to what was not. What a shared store still knows to be open opens again. */
  readonly restore: (key: BreakerKey) => void
  readonly transitions: Stream.Stream<BreakerTransition>
  /** Called synchronously after each transition. Returns the way to stop. */
  readonly onTransition: (listener: (transition: BreakerTransition) => void) => () => void
}>()("llamero/services/Breaker") {}
