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
  const inMemory = (backend: Backend) => residency.state(backend.id, model) === "absent" ? 0 : 1
  const failed = (backend: Backend) => residency.failure(backend.id, model) === undefined ? 0 : 1
  return owners.toSorted((a, b) =>
    inMemory(b) - inMemory(a) || failed(a) - failed(b) || (ledger.room(b) ?? 0) - (ledger.room(a) ?? 0) ||
    residency.list(a.id).length - residency.list(b.id).length
  ).slice(0, replicas ?? 1)
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
