/**
 * Ranks the backends for one request over the live view: filters, then scorers, then one picker. Pure; commits nothing.
 *
 * @since 0.1.0
 */
import { Context } from "effect"
import type { FleetView } from "./FleetView.ts"
import type { Candidate } from "./Plugin.ts"
import type { Demand } from "./RoutedRequest.ts"

/**
 * The ranking of one request, best first; made lazily, since the first candidate nearly always commits.
 *
 * @category models
 * @since 0.1.0
 */
export interface Ranking extends Iterable<Candidate> {
  /** How many passed the filters. */
  readonly size: number
  /** Where there is one: told which backend gave the lease. Synchronous. */
  readonly taken?: ((backend: string) => void) | undefined
}

/** Why one backend is or is not a candidate: for the decision log. @category models @since 0.1.0 */
export interface Explanation {
  readonly backend: string
  /** The filter that dropped it, if one did. */
  readonly droppedBy: string | undefined
  readonly scores: Readonly<Record<string, number>>
  readonly total: number
}

/**
 * Ranks.
 *
 * @category services
 * @since 0.1.0
 */
export class Placement extends Context.Service<Placement, {
  readonly rank: (demand: Demand, fleet: FleetView) => Ranking
  /** The same decision, told in full. Slow; never on the path of a request. */
  readonly explain: (demand: Demand, fleet: FleetView) => ReadonlyArray<Explanation>
}>()("llamero/services/Placement") {}
