/**
 * Ranks the backends for one request over the live view: filters, then scorers, then one picker. It is pure and
 * commits nothing.
 *
 * @since 0.1.0
 */
import { Context } from "effect"
import type { FleetView } from "./FleetView.ts"
import type { Candidate } from "./Plugin.ts"
import type { Demand } from "./RoutedRequest.ts"

/**
 * The ranking of one request, best first. It is made lazily, because the first candidate nearly always gives the lease.
 *
 * @category models
 * @since 0.1.0
 */
export interface Ranking extends Iterable<Candidate> {
  /** How many backends passed the filters. */
  readonly size: number
  /** Called with the backend that gave the lease, if a placement needs to know it. Synchronous. */
  readonly taken?: ((backend: string) => void) | undefined
}

/** Why a backend is a candidate or is not: for the decision log. @category models @since 0.1.0 */
export interface Explanation {
  readonly backend: string
  /** Name of the filter that dropped it, if one did. */
  readonly droppedBy: string | undefined
  /** By name of the scorer, from 0 to 1. */
  readonly scores: Readonly<Record<string, number>>
  /** The sum of the scores, each multiplied with its weight. */
  readonly total: number
}

const key = "llamero/services/Placement"
const Base: Context.ServiceClass<Placement, typeof key, Service> = Context.Service<Placement, Service>()(key)

/**
 * Ranks the candidates for a request.
 *
 * @category services
 * @since 0.1.0
 */
export class Placement extends Base {}

/** The members of `Placement`. @category services @since 0.1.0 */
export interface Service {
  readonly rank: (demand: Demand, fleet: FleetView) => Ranking
  /** The same decision with all its reasons. Slow, so never called while a request is served. */
  readonly explain: (demand: Demand, fleet: FleetView) => ReadonlyArray<Explanation>
}
