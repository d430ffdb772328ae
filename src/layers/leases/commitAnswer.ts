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
  breakerRetryMillis: number | undefined = undefined
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
    this.breakerRetryMillis = Math.min(this.breakerRetryMillis ?? Infinity, retryMillis)
  }

  full(slots: BackendSlots, { model }: Demand): void {
    this.busy = true
    if (!model.remote) slots.services.residency.want(slots.backend.id, model)
    const service = slots.serviceMillisOf(model)
    if (service !== undefined && service > 0) this.rate += slots.limitOf(model) / service
  }

  /**
   * The time in milliseconds after which the last of `waiting` requests gets its lease. The full backends end one
   * stream in each interval of `1 / rate`. The first stream ends after half an interval on average, and each request
   * before the last one takes one more interval. It is never less than what this request has waited already.
   */
  waitMillis(demand: Demand, waiting: number, now: number): number {
    return Math.max(now - demand.since, this.rate === 0 ? 0 : (waiting - 0.5) / this.rate)
  }

  /** The answer to a request that got no lease. */
  answer(demand: Demand): Exclude<Commit, Lease> {
    const { breakerRetryMillis, busy, considered, failed, loading, mismatches } = this
    if (busy) return "wait"
    if (loading) return "loading"
    if (breakerRetryMillis !== undefined) {
      return unavailable(`${demand.model.key} is failing on every backend that has it`, breakerRetryMillis)
    }
    if (failed !== undefined) return loadFailed(failed)
    if (mismatches > 0) return noContext(demand)
    return considered
      ? unavailable(`no backend can serve ${demand.model.key} now`, undefined)
      : unavailable(`no healthy backend has ${demand.model.key}`, undefined)
  }
}
