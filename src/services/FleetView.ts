/**
 * The live view that filters and scorers read. Every property is its value at the moment of reading. Reading it does
 * no I/O and changes nothing.
 *
 * @since 0.1.0
 */
import type { HealthState } from "./BackendHealth.ts"
import type { BreakerState } from "./Breaker.ts"
import type { Backend, MemberState } from "./Fleet.ts"
import type { Model } from "./ModelCatalog.ts"
import type { MemoryView, ResidencyState } from "./Residency.ts"

/**
 * The live view of one backend.
 *
 * @category models
 * @since 0.1.0
 */
export interface BackendView {
  readonly backend: Backend
  /** The state that the operator has set. */
  readonly member: MemberState
  readonly health: HealthState
  /** Version of its Ollama server; absent while it is not known. */
  readonly version?: string | undefined
  /** Leases held now, of all models. */
  readonly streams: number
  /** Leases held now for one model. */
  readonly streamsOf: (model: Model) => number
  /** Leases of one model that may be held at a time: `Backend.parallelism`, or the value it has adapted to. */
  readonly limitOf: (model: Model) => number
  /**
   * Moving average of the milliseconds that a complete answer of the model takes here; `undefined` before the first
   * one.
   */
  readonly serviceMillisOf: (model: Model) => number | undefined
  readonly residency: (model: Model) => ResidencyState
  readonly breaker: (model: Model) => BreakerState
  readonly owns: (model: Model) => boolean
  /** Milliseconds that a load of the model is expected to take here. */
  readonly loadMillis: (model: Model) => number
  /** The memory of the backend, and how much of it the model would take; `undefined` where it is not managed. */
  readonly memory: (model: Model) => MemoryView | undefined
  /** Moving average of the time to first byte in milliseconds; `undefined` before the first success. */
  readonly firstByteMillis: number | undefined
  /** Milliseconds since the epoch of the last lease; `0` before the first. */
  readonly lastLeaseAt: number
}

/**
 * The live view of the fleet.
 *
 * @category models
 * @since 0.1.0
 */
export interface FleetView {
  readonly backends: ReadonlyArray<BackendView>
  /** The backends that have a model on disk. A cached list: it stays the same array until owners or members change. */
  readonly owners: (model: Model) => ReadonlyArray<BackendView>
  readonly find: (id: string) => BackendView | undefined
  /**
   * Calls `read`, in which nothing of the view changes, so that the view may remember what it was asked for. When
   * absent, nothing is remembered.
   */
  readonly still?: (<A>(read: () => A) => A) | undefined
  /**
   * The number of the call of `still` that is under way; `undefined` outside of one. What a scorer has computed over
   * all backends holds as long as it is the same number.
   */
  readonly moment?: number | undefined
}
