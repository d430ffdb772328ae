/**
 * What attempts hold: breaker permit, stream slot and pin on a resident model, all or none, taken in one synchronous step.
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
 * Held by one attempt.
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
 * A lease; a refusal, when no waiting would help; `wait`, when a slot or a breaker may free up; `loading`, when a load of the model is under way.
 *
 * @category models
 * @since 0.1.0
 */
export type Commit = Lease | Refusal | "wait" | "loading"

/** @category models @since 0.1.0 */
export const isLease = (commit: Commit): commit is Lease => typeof commit === "object" && "release" in commit

/**
 * The live view of slots and pins.
 *
 * @category services
 * @since 0.1.0
 */
export class Leases extends Context.Service<Leases, {
  readonly view: FleetView
  /**
   * Takes the first candidate that has everything. Starts a load where the model is nowhere in memory, or where that is sooner for the last of those who wait
   * for it: so many as `waiting` says, the one who asks included; `1` when absent.
   */
  readonly commit: (ranked: Iterable<Candidate>, demand: Demand, waiting?: number) => Commit
  /** Leases held now. */
  readonly count: () => number
  /** Called synchronously whenever a request that was told `wait` or `loading` may fare better. Returns the way to stop. */
  readonly onFree: (listener: () => void) => () => void
}>()("llamero/services/Leases") {}
