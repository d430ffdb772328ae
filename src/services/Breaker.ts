/**
 * Stops attempts on a backend or model that keeps failing, and lets one trial find out whether it works again.
 *
 * @since 0.1.0
 */
import { Context, type Stream } from "effect"
import type { Outcome } from "./Outcome.ts"

/**
 * - `closed`: all attempts are allowed.
 * - `open`: none is allowed, for a limited time.
 * - `half-open`: one attempt is allowed, the trial.
 * - `isolated`: none is allowed until an operator restores it.
 *
 * @category models
 * @since 0.1.0
 */
export type BreakerState = "closed" | "open" | "half-open" | "isolated"

/**
 * What a breaker protects: a whole backend, or one model on it, so that an embedder that fails does not stop the chat
 * model.
 *
 * @category models
 * @since 0.1.0
 */
export interface BreakerKey {
  readonly backend: string
  /** Canonical key of the model; absent for the whole backend. */
  readonly model?: string | undefined
}

/**
 * The right to make one attempt. Only the first call of `record` counts. A permit whose attempt did not happen has to
 * be recorded as `ignored`, because a trial stays taken until it is recorded.
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
  /** Milliseconds since the epoch, by the router's clock. */
  readonly at: number
}

const key = "llamero/services/Breaker"
const Base: Context.ServiceClass<Breaker, typeof key, Service> = Context.Service<Breaker, Service>()(key)

/**
 * Permits for attempts. Decisions are local and synchronous, so that they can be the last step of a commit. A shared
 * store only carries the transitions.
 *
 * @category services
 * @since 0.1.0
 */
export class Breaker extends Base {}

/** The members of `Breaker`. @category services @since 0.1.0 */
export interface Service {
  /**
   * Takes a permit for a model on a backend; `undefined` if a breaker refuses. It covers the breakers of the backend
   * and of the model.
   */
  readonly acquire: (backend: string, model: string) => Permit | undefined
  /** The worse one of the states of the backend and of the model on it. */
  readonly state: (backend: string, model?: string) => BreakerState
  /** Milliseconds until a breaker allows an attempt; `0` when it allows one now. */
  readonly retryMillis: (backend: string, model: string) => number
  /** Isolates a backend, or one model on it, until `restore`. No outcome and no time ends it. In this process only. */
  readonly isolate: (key: BreakerKey) => void
  /** Closes an isolated breaker; does nothing to any other. If a shared store knows that it is open, it opens again. */
  readonly restore: (key: BreakerKey) => void
  readonly transitions: Stream.Stream<BreakerTransition>
  /** Adds a listener that is called synchronously after each transition. Returns the function that removes it. */
  readonly onTransition: (listener: (transition: BreakerTransition) => void) => () => void
}
