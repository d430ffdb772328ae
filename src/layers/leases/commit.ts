/**
 * The commit: a lease for a request, or a load that will lead to one, or the reason why neither is possible.
 *
 * Everything here runs for each request, and again for each request that waits. So there are no closures and no
 * allocations but the `Findings`.
 *
 * @since 0.1.0
 */
import type { BreakerState } from "../../services/Breaker.ts"
import type { Commit, Lease } from "../../services/Leases.ts"
import type { Candidate } from "../../services/Plugin.ts"
import type { Demand } from "../../services/RoutedRequest.ts"
import type { BackendSlots, ViewServices } from "./backendSlots.ts"
import { Findings } from "./commitAnswer.ts"

/** Takes the lease, unless the breaker refuses. @category models @since 0.1.0 */
export type Take = (slots: BackendSlots, demand: Demand) => Lease | undefined

const refuses = (state: BreakerState): boolean => state === "open" || state === "isolated"

/** Whether the automatic context there is known to be shorter than the context that the request asks for. */
const tooShort = (slots: BackendSlots, { model, numCtx, tier }: Demand): boolean => {
  if (numCtx === undefined || tier !== undefined) return false
  const context = slots.services.residency.context(slots.backend.id, model)
  return context !== undefined && context < numCtx
}

/**
 * Whether a model may be loaded again with another context. An explicit context never replaces the only automatic one,
 * because requests of every API can use that one.
 */
const replaceable = (slots: BackendSlots, { model, tier }: Demand, mismatches: number): boolean =>
  slots.streamsOf(model) === 0 &&
  (tier === undefined || mismatches > 1 || slots.services.residency.tier(slots.backend.id, model) !== undefined)

/** A candidate that needs no load: the model is in its memory, is remote, or the request does not run it. */
const tryResident = (
  { breaker, residency }: ViewServices,
  take: Take,
  slots: BackendSlots,
  demand: Demand,
  findings: Findings,
): Lease | undefined => {
  const { model } = demand
  const serves = model.remote || !demand.loads || residency.serves(slots.backend.id, model, demand.numCtx)
  if (serves === false) {
    findings.mismatched ??= slots
    findings.mismatches++
    return undefined
  }
  // Its context is not known before the next reading.
  if (serves === undefined) findings.busy = true
  else if (slots.full(model)) findings.full(slots, demand)
  else {
    const lease = take(slots, demand)
    if (lease !== undefined) return lease
    if (slots.breaker(model) === "half-open") findings.busy = true
    else findings.refusedByBreaker(breaker.retryMillis(slots.backend.id, model.key))
  }
  return undefined
}

/** A candidate that would have to load the model first. */
const tryAbsent = (
  { breaker, residency }: ViewServices,
  slots: BackendSlots,
  demand: Demand,
  findings: Findings,
): void => {
  const { model } = demand
  if (refuses(slots.breaker(model))) {
    findings.refusedByBreaker(breaker.retryMillis(slots.backend.id, model.key))
  } else if (tooShort(slots, demand)) findings.mismatches++
  else {
    const failure = residency.failure(slots.backend.id, model)
    if (failure !== undefined) findings.failed ??= failure
    else findings.cold ??= slots
  }
}

/** Starts a load where that is the better choice, or the only one. */
const startLoad = (
  { clock, residency }: ViewServices,
  findings: Findings,
  demand: Demand,
  waiting: number,
): void => {
  const { model, numCtx, tier } = demand
  const { cold, mismatched } = findings
  if (cold !== undefined) {
    if (findings.loading) return
    // Where the model is in memory but busy, a load is started only on an idle backend, and only if waiting takes
    // longer.
    if (
      findings.busy && (cold.streams > 0 ||
        findings.waitMillis(demand, waiting, clock.currentTimeMillisUnsafe()) < cold.loadMillis(model))
    ) return
    residency.request(cold.backend, model, { numCtx: tier, contextMin: numCtx })
    findings.loading = true
  } else if (
    mismatched !== undefined && !findings.busy && !findings.loading &&
    replaceable(mismatched, demand, findings.mismatches)
  ) {
    // Every backend has the model with another context, so one of them has to load it again.
    residency.request(mismatched.backend, model, { numCtx: tier, contextMin: numCtx })
    findings.loading = mismatched.residency(model) === "loading"
  }
}

/**
 * The commit over the candidates, best first.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make =
  (services: ViewServices, take: Take) => (ranked: Iterable<Candidate>, demand: Demand, waiting = 1): Commit => {
    const findings = new Findings()
    const { model } = demand
    for (const { view } of ranked) {
      const slots = view as BackendSlots
      findings.considered = true
      const state = model.remote || !demand.loads ? "resident" : slots.residency(model)
      if (state === "loading") findings.loading = true
      else if (state === "draining") findings.busy = true
      else if (state === "absent") tryAbsent(services, slots, demand, findings)
      else {
        const lease = tryResident(services, take, slots, demand, findings)
        if (lease !== undefined) return lease
      }
    }
    startLoad(services, findings, demand, waiting)
    return findings.answer(demand)
  }
