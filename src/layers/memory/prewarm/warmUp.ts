/**
 * Chooses the backends for a model that a plan wants, and starts its load where it is missing.
 *
 * @since 0.1.0
 */
import type { BackendHealth } from "../../../services/BackendHealth.ts"
import type { Backend, Fleet } from "../../../services/Fleet.ts"
import type { Model } from "../../../services/ModelCatalog.ts"
import type { PrewarmTarget } from "../../../services/Plugin.ts"
import type { PrewarmStatus } from "../../../services/Prewarmer.ts"
import type { Residency } from "../../../services/Residency.ts"
import type { VramLedger } from "../../../services/VramLedger.ts"

/** The services that a load depends on. @category models @since 0.1.0 */
export interface WarmUpServices {
  readonly fleet: Fleet["Service"]
  readonly health: BackendHealth["Service"]
  readonly residency: Residency["Service"]
  readonly ledger: VramLedger["Service"]
}

interface Choice {
  readonly backend: Backend
  readonly absent: number
  readonly failed: number
  readonly room: number
  /** How many models are in its memory; `undefined` until it was counted. */
  models: number | undefined
}

/** Up to so many are found by one look at all for each; more by a sort. */
const looksMax = 4

/** The first `count` in an order, as a stable sort puts them. */
const first = <A>(all: ReadonlyArray<A>, count: number, order: (a: A, b: A) => number): ReadonlyArray<A> => {
  if (count > looksMax) return all.toSorted(order).slice(0, count)
  const left = all.slice()
  const found: Array<A> = []
  while (found.length < count && left.length > 0) {
    let best = 0
    for (let i = 1; i < left.length; i++) if (order(left[i]!, left[best]!) < 0) best = i
    found.push(...left.splice(best, 1))
  }
  return found
}

/**
 * The backends for a target. Those that the target names; otherwise as many as it has replicas, in this order: backends
 * that have the model in memory, backends without a failed load, most free memory, fewest models.
 *
 * @category accessors
 * @since 0.1.0
 */
export const chooseBackends = (
  { fleet, health, ledger, residency }: WarmUpServices,
  model: Model,
  { backends, replicas }: PrewarmTarget,
): ReadonlyArray<Backend> => {
  const owners = fleet.members().flatMap(({ backend, state }) =>
    state === "active" && model.owners.has(backend.id) && health.status(backend.id).state !== "unhealthy" &&
      backends?.includes(backend.id) !== false
      ? [backend]
      : []
  )
  if (backends !== undefined) return owners
  const made = owners.map((backend): Choice => ({
    backend,
    absent: residency.state(backend.id, model) === "absent" ? 1 : 0,
    failed: residency.failure(backend.id, model) === undefined ? 0 : 1,
    room: ledger.room(backend) ?? 0,
    models: undefined,
  }))
  // Counted only where nothing else decides.
  const modelsOf = (choice: Choice): number => choice.models ??= residency.list(choice.backend.id).length
  return first(
    made,
    replicas ?? 1,
    (a, b) => a.absent - b.absent || a.failed - b.failed || b.room - a.room || modelsOf(a) - modelsOf(b),
  ).map(({ backend }) => backend)
}

/**
 * Why a load has to wait; empty if it can begin. One load at a time, so that a request waits for at most one of them.
 */
const reasonToWait = (
  { ledger, residency }: WarmUpServices,
  backend: Backend,
  model: Model,
  target: PrewarmTarget,
): string => {
  if (residency.list(backend.id).some(({ state }) => state === "loading")) return "another load is under way"
  const needs = ledger.needs(backend, model)
  const room = ledger.room(backend)
  const fits = target.evicts === true || needs === undefined || room === undefined || needs <= room
  return fits ? "" : "no free memory"
}

/** Starts a load where the model is missing and returns its status. @category mutations @since 0.1.0 */
export const warmUp = (
  services: WarmUpServices,
  plan: string,
  model: Model,
  target: PrewarmTarget,
  backend: Backend,
): PrewarmStatus => {
  const { residency } = services
  const status = (state: PrewarmStatus["state"], reason = ""): PrewarmStatus => ({
    plan,
    model: model.key,
    backend: backend.id,
    state,
    reason,
  })
  const state = residency.state(backend.id, model)
  if (state === "resident") {
    // A model with layers in system memory does not count as warm.
    const spilled = residency.spills(backend.id).some((spill) => spill.model === model.key)
    return spilled ? status("failed", "layers spilled to the CPU") : status("resident")
  }
  if (state === "loading") return status("loading")
  const failure = residency.failure(backend.id, model)
  if (failure !== undefined) return status("failed", failure.description)
  const wait = reasonToWait(services, backend, model, target)
  if (wait !== "") return status("pending", wait)
  residency.request(backend, model, { evicts: target.evicts ?? false })
  return status("loading")
}
