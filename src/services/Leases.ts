/**
 * Gives each attempt a lease, which holds a breaker permit, a stream slot and a pin on a model in memory. One
 * synchronous step takes all of these parts, or none.
 *
 * @since 0.1.0
 */
import { Context } from "effect"
import type { Backend } from "./Fleet.ts"
import type { FleetView } from "./FleetView.ts"
import type { Outcome } from "./Outcome.ts"
import type { Candidate } from "./Plugin.ts"
import type { Refusal } from "./Refusal.ts"
import type { Demand } from "./RoutedRequest.ts"

/**
 * A lease, held by one attempt.
 *
 * @category models
 * @since 0.1.0
 */
export interface Lease {
  readonly backend: Backend
  readonly demand: Demand
  /** Synchronous and idempotent: the first outcome counts. */
  readonly release: (outcome: Outcome) => void
}

/**
 * The answer of a commit.
 *
 * - a lease;
 * - a refusal, when waiting does not help;
 * - `wait`, when a slot may become free or a breaker may close;
 * - `loading`, when a load of the model is under way.
 *
 * @category models
 * @since 0.1.0
 */
export type Commit = Lease | Refusal | "wait" | "loading"

/** Whether a commit gave a lease. @category models @since 0.1.0 */
export const isLease = (commit: Commit): commit is Lease => typeof commit === "object" && "release" in commit

const key = "llamero/services/Leases"
const Base: Context.ServiceClass<Leases, typeof key, Service> = Context.Service<Leases, Service>()(key)

/**
 * Gives leases.
 *
 * @category services
 * @since 0.1.0
 */
export class Leases extends Base {}

/** The members of `Leases`. @category services @since 0.1.0 */
export interface Service {
  /** The live view of the slots and pins. */
  readonly view: FleetView
  /**
   * Takes a lease on the first candidate that has all parts. Starts a load when no backend has the model in memory.
   * Also starts one when the load would end before the last waiting request of the model gets its turn. `waiting` is
   * the number of requests that wait for the model, this one included; `1` when absent.
   */
  readonly commit: (ranked: Iterable<Candidate>, demand: Demand, waiting?: number) => Commit
  /** Leases held now. */
  readonly count: () => number
  /**
   * Calls `listener`, synchronously, whenever a commit that answered `wait` or `loading` may give another answer.
   * Returns a function that stops it.
   */
  readonly onFree: (listener: () => void) => () => void
}
