/**
 * The live view that filters and scorers read. Every property is the value now; reading it costs nothing and changes nothing.
 *
 * @since 0.1.0
 */
import type { HealthState } from "./BackendHealth.ts"
import type { BreakerState } from "./Breaker.ts"
import type { Backend, MemberState } from "./Fleet.ts"
import type { Model } from "./ModelCatalog.ts"
import type { MemoryView, ResidencyState } from "./Residency.ts"

/**
 * One backend, live.
 *
 * @category models
 * @since 0.1.0
 */
export interface BackendView {
  readonly backend: Backend
  /** What the operator says. */
  readonly member: MemberState
  readonly health: HealthState
  /** Leases held now, over all models. */
  readonly streams: number
  /** Leases held now for one model. */
  readonly streamsOf: (model: Model) => number
  /** Leases of one model that may be held at a time: `Backend.parallelism`, or what it has adapted to. */
  readonly limitOf: (model: Model) => number
  /** Moving average of milliseconds a whole answer of the model takes here; `undefined` before the first. */
  readonly serviceMillisOf: (model: Model) => number | undefined
  readonly residency: (model: Model) => ResidencyState
  readonly breaker: (model: Model) => BreakerState
  readonly owns: (model: Model) => boolean
  /** Milliseconds a load of the model is expected to take here. */
  readonly loadMillis: (model: Model) => number
  /** The memory there, and what the model would take of it; `undefined` where it is not managed. */
  readonly memory: (model: Model) => MemoryView | undefined
  /** Moving average of the time to first byte in milliseconds; `undefined` before the first success. */
  readonly firstByteMillis: number | undefined
  /** Milliseconds since the epoch of the last lease; `0` before the first. */
  readonly lastLeaseAt: number
}

/**
 * The fleet, live.
 *
 * @category models
 * @since 0.1.0
 */
export interface FleetView {
  readonly backends: ReadonlyArray<BackendView>
  /** The backends that have a model on disk. A cached list: the same array until owners or members change. */
  readonly owners: (model: Model) => ReadonlyArray<BackendView>
  readonly find: (id: string) => BackendView | undefined
}
