/**
 * The test kit, `llamero/testing`: contracts that an implementation must keep, generators, and mocks.
 *
 * **Details**
 *
 * A contract is a list of checks for any test runner. A check is a name and an Effect that fails with a
 * `ContractViolation`. Simulated backends and devices are in `llamero/simulated`. The kit needs Node or Deno, for
 * `node:assert`.
 *
 * **Example** (your own breaker, with `node:test`)
 *
 * ```ts
 * import { Effect, Layer } from "effect"
 * import { CircuitBreaker } from "effect/persistence"
 * import { LocalBreaker } from "llamero"
 * import { BreakerContract } from "llamero/testing"
 * import { test } from "node:test"
 *
 * const mine = LocalBreaker.layer().pipe(Layer.provide(CircuitBreaker.layerStoreMemory()))
 * for (const { name, run } of BreakerContract.contract(mine)) test(name, () => Effect.runPromise(run))
 * ```
 *
 * @since 0.1.0
 */
export {
  type Check,
  check,
  checkLive,
  type Contract,
  ContractViolation,
  forAll,
  property,
  violations,
  within,
} from "./checks.ts"

export * as AdmissionContract from "./contracts/Admission.ts"
export * as AdmissionQueuesContract from "./contracts/AdmissionQueues.ts"
export * as BackendHealthContract from "./contracts/BackendHealth.ts"
export * as BreakerContract from "./contracts/Breaker.ts"
export * as CoalescerContract from "./contracts/Coalescer.ts"
export * as FaultContract from "./contracts/Faults.ts"
export * as FleetContract from "./contracts/Fleet.ts"
export * as GpuProbeContract from "./contracts/GpuProbe.ts"
export * as LeasesContract from "./contracts/Leases.ts"
export * as ModelCatalogContract from "./contracts/ModelCatalog.ts"
export * as ModelFootprintsContract from "./contracts/ModelFootprints.ts"
export * as OllamaApiContract from "./contracts/OllamaApi.ts"
export * as PlacementContract from "./contracts/Placement.ts"
export * as PluginContract from "./contracts/plugins.ts"
export * as ResidencyContract from "./contracts/Residency.ts"
export * as RouterContract from "./contracts/Router.ts"
export * as RouterEventsContract from "./contracts/RouterEvents.ts"
export * as TokenEstimatorContract from "./contracts/TokenEstimator.ts"
export * as TransportContract from "./contracts/Transport.ts"
export * as VramLedgerContract from "./contracts/VramLedger.ts"

export * as Generators from "./generators.ts"
export * as Invariants from "./invariants/index.ts"

export { demandFor, modelOn } from "./demands.ts"
export { elapse } from "./elapse.ts"
export { RecordingSink, until } from "./sinks.ts"
export { tracked } from "./outstanding.ts"
export { RecordingReply } from "./replies.ts"
export { request } from "./requests.ts"
export { ask, held, holdsNothing, nothing, place } from "./routers.ts"
export { fleetOf, viewOf } from "./views.ts"

export * as MockBackendHealth from "./mocks/MockBackendHealth.ts"
export * as MockBreaker from "./mocks/MockBreaker.ts"
export * as MockGpuProbe from "./mocks/MockGpuProbe.ts"
export * as MockLeases from "./mocks/MockLeases.ts"
export * as MockModelCatalog from "./mocks/MockModelCatalog.ts"
export * as MockModelFootprints from "./mocks/MockModelFootprints.ts"
export * as MockResidency from "./mocks/MockResidency.ts"
export * as MockRouter from "./mocks/MockRouter.ts"
