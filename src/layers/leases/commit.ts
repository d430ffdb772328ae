/**
 * A lease for a request, or a load that will lead to one, or why there can be none.
 *
 * @since 0.1.0
 */
import type { BreakerState } from "../../services/Breaker.ts"
import type { Commit, Lease } from "../../services/Leases.ts"
import type { Candidate } from "../../services/Plugin.ts"
import type { LoadError } from "../../services/Residency.ts"
import type { Demand } from "../../services/RoutedRequest.ts"
import { loadFailed, noContext, unavailable } from "./refusals.ts"
import type { Slots, Sources } from "./slots.ts"

/** What the candidates said, one after the other. */
class Look {
  busy = false
  loading = false
  considered = false
  broken: number | undefined = undefined
  failed: LoadError | undefined = undefined
  cold: Slots | undefined = undefined
  mismatched: Slots | undefined = undefined
  mismatches = 0
  /** Of the warm ones that are full: streams a millisecond that they get done. */
  rate = 0

  breaks(retryMillis: number): void {
    this.broken = Math.min(this.broken ?? Infinity, retryMillis)
  }

  isFull(slots: Slots, { model }: Demand): void {
    this.busy = true
    if (!model.remote) slots.sources.residency.want(slots.backend.id, model)
    const service = slots.serviceMillisOf(model)
    if (service !== undefined && service > 0) this.rate += slots.limitOf(model) / service
  }
}

const holdsBack = (state: BreakerState): boolean => state === "open" || state === "isolated"

/** The automatic context there is known to be shorter than what is asked for. */
const tooShort = (slots: Slots, { model, numCtx, tier }: Demand): boolean => {
  if (numCtx === undefined || tier !== undefined) return false
  const context = slots.sources.residency.context(slots.backend.id, model)
  return context !== undefined && context < numCtx
}

/** An explicit context never takes the place of the only automatic one, which everybody can use. */
const replaceable = (slots: Slots, { model, tier }: Demand, mismatches: number): boolean =>
  slots.streamsOf(model) === 0 &&
  (tier === undefined || mismatches > 1 || slots.sources.residency.tier(slots.backend.id, model) !== undefined)

/**
 * What the last of those who wait has waited, or will have: half a turn until somebody ends, then a turn for each. Where nothing has been measured yet, what
 * the one who asks has waited.
 */
const waitMillis = (look: Look, demand: Demand, waiting: number, now: number): number =>
  Math.max(now - demand.since, look.rate === 0 ? 0 : (waiting - 0.5) / look.rate)

const answer = (look: Look, demand: Demand): Exclude<Commit, Lease> => {
  const { broken, busy, considered, failed, loading, mismatches } = look
  if (busy) return "wait"
  if (loading) return "loading"
  if (broken !== undefined) return unavailable(`${demand.model.key} is failing on every backend that has it`, broken)
  if (failed !== undefined) return loadFailed(failed)
  if (mismatches > 0) return noContext(demand)
  return considered
    ? unavailable(`no backend can serve ${demand.model.key} now`, undefined)
    : unavailable(`no healthy backend has ${demand.model.key}`, undefined)
}

/**
 * The commit over the candidates, best first. `take` gets the lease, unless the breaker says no.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (
  { breaker, clock, residency }: Sources,
  take: (slots: Slots, demand: Demand) => Lease | undefined,
) => {
  const tryResident = (slots: Slots, demand: Demand, look: Look): Lease | undefined => {
    const { model } = demand
    const serves = model.remote || !demand.loads || residency.serves(slots.backend.id, model, demand.numCtx)
    if (serves === false) {
      look.mismatched ??= slots
      look.mismatches++
      return undefined
    }
    // Its context is not known before the next reading.
    if (serves === undefined) look.busy = true
    else if (slots.full(model)) look.isFull(slots, demand)
    else {
      const lease = take(slots, demand)
      if (lease !== undefined) return lease
      if (slots.breaker(model) === "half-open") look.busy = true
      else look.breaks(breaker.retryMillis(slots.backend.id, model.key))
    }
    return undefined
  }

  const tryAbsent = (slots: Slots, demand: Demand, look: Look): void => {
    const { model } = demand
    if (holdsBack(slots.breaker(model))) look.breaks(breaker.retryMillis(slots.backend.id, model.key))
    else if (tooShort(slots, demand)) look.mismatches++
    else {
      const failure = residency.failure(slots.backend.id, model)
      if (failure !== undefined) look.failed ??= failure
      else look.cold ??= slots
    }
  }

  const load = (look: Look, demand: Demand, waiting: number): void => {
    const { model, numCtx, tier } = demand
    const { cold, mismatched } = look
    if (cold !== undefined) {
      // A busy warm backend beats an idle cold one until the wait costs as much as the load would.
      const slow = () => waitMillis(look, demand, waiting, clock.currentTimeMillisUnsafe()) >= cold.loadMillis(model)
      if (look.loading || (look.busy && !(cold.streams === 0 && slow()))) return
      residency.request(cold.backend, model, { numCtx: tier, contextMin: numCtx })
      look.loading = true
    } else if (
      mismatched !== undefined && !look.busy && !look.loading && replaceable(mismatched, demand, look.mismatches)
    ) {
      // Loaded with another context everywhere: one of them has to change.
      residency.request(mismatched.backend, model, { numCtx: tier, contextMin: numCtx })
      look.loading = mismatched.residency(model) === "loading"
    }
  }

  return (ranked: Iterable<Candidate>, demand: Demand, waiting = 1): Commit => {
    const look = new Look()
    const { model } = demand
    for (const { view } of ranked) {
      const slots = view as Slots
      look.considered = true
      const state = model.remote || !demand.loads ? "resident" : slots.residency(model)
      if (state === "loading") look.loading = true
      else if (state === "draining") look.busy = true
      else if (state === "absent") tryAbsent(slots, demand, look)
      else {
        const lease = tryResident(slots, demand, look)
        if (lease !== undefined) return lease
      }
    }
    load(look, demand, waiting)
    return answer(look, demand)
  }
}
