/**
 * What one commit found out about the candidates, and the answer that follows when none of them gave a lease.
 *
 * @since 0.1.0
 */
import type { Commit, Lease } from "../../services/Leases.ts"
import type { LoadError } from "../../services/Residency.ts"
import type { Demand } from "../../services/RoutedRequest.ts"
import type { BackendSlots } from "./backendSlots.ts"
import { loadFailed, noContext, unavailable } from "./refusals.ts"

/** Filled while the candidates are tried, best first. @category models @since 0.1.0 */
export class Findings {
  /** Whether there was any candidate. */
  considered = false
  /** A backend has the model in memory and can serve the request later. */
  busy = false
  /** A backend is loading the model. */
  loading = false
  /** The shortest time until an open breaker allows a trial, in milliseconds; `undefined` if no breaker refused. */
  broken: number | undefined = undefined
  /** The first load of the model that failed. */
  failed: LoadError | undefined = undefined
  /** The best candidate that could load the model. */
  cold: BackendSlots | undefined = undefined
  /** The best candidate that has the model in memory with another context length. */
  mismatched: BackendSlots | undefined = undefined
  mismatches = 0
  /** How many streams a millisecond the full backends finish, all together; 0 where nothing was measured. */
  rate = 0

  refusedByBreaker(retryMillis: number): void {
    this.broken = Math.min(this.broken ?? Infinity, retryMillis)
  }

  full(slots: BackendSlots, { model }: Demand): void {
    this.busy = true
    if (!model.remote) slots.services.residency.want(slots.backend.id, model)
    const service = slots.serviceMillisOf(model)
    if (service !== undefined && service > 0) this.rate += slots.limitOf(model) / service
  }

  /**
   * How long the last of `waiting` requests waits for the full backends: on average half an interval until the first
   * stream ends, then one interval for each request before it. Where nothing was measured: what this request has
   * waited.
   */
  waitMillis(demand: Demand, waiting: number, now: number): number {
    return Math.max(now - demand.since, this.rate === 0 ? 0 : (waiting - 0.5) / this.rate)
  }

  /** The answer to a request that got no lease. */
  answer(demand: Demand): Exclude<Commit, Lease> {
    const { broken, busy, considered, failed, loading, mismatches } = this
    if (busy) return "wait"
    if (loading) return "loading"
    if (broken !== undefined) return unavailable(`${demand.model.key} is failing on every backend that has it`, broken)
    if (failed !== undefined) return loadFailed(failed)
    if (mismatches > 0) return noContext(demand)
    return considered
      ? unavailable(`no backend can serve ${demand.model.key} now`, undefined)
      : unavailable(`no healthy backend has ${demand.model.key}`, undefined)
  }
}
