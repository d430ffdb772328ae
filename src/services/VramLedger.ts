/**
 * Charges device memory to models, from the start of a load until the memory is free again.
 *
 * @since 0.1.0
 */
import { Context, type Effect } from "effect"
import type { Backend } from "./Fleet.ts"
import type { Model } from "./ModelCatalog.ts"

/**
 * - `reserved`: the memory is charged and the load has not begun.
 * - `loading`: the load is under way.
 * - `resident`: the model is in memory.
 * - `draining`: it gets no new request, and is unloaded when the last one has ended.
 * - `releasing`: it is unloaded, but its memory may not be free yet.
 * - `gone`: nothing is charged any more.
 *
 * @category models
 * @since 0.1.0
 */
export type AllocationState = "reserved" | "loading" | "resident" | "draining" | "releasing" | "gone"

/** The part of an allocation on one device. @category models @since 0.1.0 */
export interface Share {
  /** As in `Backend.devices`: the UUID of a GPU, or `system`. */
  readonly device: string
  readonly bytes: number
}

/**
 * Memory charged to one model on one backend. It outlives requests, because Ollama allocates the KV cache for a
 * runner, not for a request.
 *
 * @category models
 * @since 0.1.0
 */
export interface Allocation {
  readonly backend: string
  /** Canonical key of the model. */
  readonly model: string
  /** The charged bytes by device; empty where memory is not managed. */
  readonly shares: () => ReadonlyArray<Share>
  readonly state: () => AllocationState
  /**
   * Changes the state. `gone` gives the memory back, and later calls do nothing. After `releasing` the ledger itself
   * moves it to `gone`.
   */
  readonly move: (to: AllocationState) => void
}

/** One way to make room: `bytes` have to become free on `devices` together. @category models @since 0.1.0 */
export interface Freeing {
  readonly devices: ReadonlyArray<string>
  readonly bytes: number
}

/**
 * There is no room now: the load has to wait, or another model has to be unloaded first.
 *
 * @category models
 * @since 0.1.0
 */
export interface NoRoom {
  readonly _tag: "NoRoom"
  /** For events and logs. */
  readonly reason: string
  /** Each of these would be enough; fewest bytes first. Empty if unloading does not help, only time. */
  readonly freeing: ReadonlyArray<Freeing>
  /** Whether it would not fit into the empty devices either. */
  readonly never: boolean
}

/** The memory of a loaded model, as `/api/ps` shows it. @category models @since 0.1.0 */
export interface Observed {
  /** Bytes of all its buffers. */
  readonly size: number
  /** Bytes of those on GPUs. */
  readonly sizeVram: number
  /** In tokens; `undefined` on servers before 0.7. */
  readonly contextLength: number | undefined
  /** Whether the backend chose that context length by itself. */
  readonly automatic: boolean
}

/** What the ledger knows about a device. In bytes; `undefined` means "not known". @category models @since 0.1.0 */
export interface DeviceStatus {
  readonly device: string
  /** Ids of the backends that use it. */
  readonly backends: ReadonlyArray<string>
  readonly declared: number | undefined
  /** Of the last good reading. */
  readonly total: number | undefined
  readonly free: number | undefined
  /** Bytes that stay free on it; absent where the ledger keeps no reserve. */
  readonly reserve?: number | undefined
  /** The most bytes of all allocations together: min(declared or total, last good free + our own) - reserve. */
  readonly capacity: number | undefined
  /** The sum of the allocations. */
  readonly held: number
  /** Bytes that other processes used at the last reading. */
  readonly foreign: number | undefined
  /** Milliseconds since the epoch, by the router's clock. */
  readonly readAt: number | undefined
  /** Why the newest reading failed; empty if it did not. */
  readonly failure: string
  /** The other values of the newest reading; a field is `undefined` where the source cannot tell. */
  readonly sensors?: DeviceSensors | undefined
}

/** What a device reports besides its memory. @category models @since 0.1.0 */
export interface DeviceSensors {
  /** Degrees Celsius. */
  readonly temperature: number | undefined
  /** Watts. */
  readonly power: number | undefined
  /** Share of time in use, from 0 to 1. */
  readonly utilisation: number | undefined
  /** Whether the source has seen no fault; `undefined` where no source watches the device. */
  readonly healthy: boolean | undefined
}

const key = "llamero/services/VramLedger"
const Base: Context.ServiceClass<VramLedger, typeof key, Service> = Context.Service<VramLedger, Service>()(key)

/**
 * Reserves device memory for loads, or refuses.
 *
 * @category services
 * @since 0.1.0
 */
export class VramLedger extends Base {}

/** The members of `VramLedger`. @category services @since 0.1.0 */
export interface Service {
  /**
   * Whether the capacity of a backend is known. If it is not, Ollama manages the memory, loads are serial and spills
   * are only reported.
   */
  readonly managed: (backend: Backend) => boolean
  /** Reads the facts that `reserve` needs about a model on a backend; `undefined` if they are known already. */
  readonly prepare: (backend: Backend, model: Model) => Effect.Effect<void> | undefined
  /** Bytes that a load would be charged; `undefined` if not known or not managed. `numCtx` as in `reserve`. */
  readonly needs: (backend: Backend, model: Model, numCtx?: number) => number | undefined
  /** Bytes for new loads on all devices of a backend together; `undefined` if not known. */
  readonly room: (backend: Backend) => number | undefined
  /** Bytes for one model with nothing else loaded on the backend; `undefined` if not known. */
  readonly limit: (backend: Backend) => number | undefined
  /** Tokens of the context that the backend would choose by itself; `undefined` if not known. */
  readonly context: (backend: Backend, model: Model) => number | undefined
  /**
   * Checks and charges in one synchronous step. `numCtx` is an explicit context in tokens, instead of the automatic
   * one.
   */
  readonly reserve: (backend: Backend, model: Model, numCtx?: number) => Allocation | NoRoom
  /** Charges a model that is already in memory, so it cannot refuse. */
  readonly adopt: (backend: Backend, model: string, observed: Observed) => Allocation
  /** Takes in the memory that a load has really taken. It is charged from now on, and remembered for the next load. */
  readonly observe: (allocation: Allocation, model: Model | undefined, observed: Observed) => void
  /** All allocations that are not `gone`. */
  readonly allocations: () => ReadonlyArray<Allocation>
  readonly devices: () => ReadonlyArray<DeviceStatus>
  /** Reads the devices now. */
  readonly refresh: Effect.Effect<void>
  /**
   * Adds a listener that is called synchronously after memory became free or a capacity changed. Returns the function
   * that removes it.
   */
  readonly onChange: (listener: () => void) => () => void
}
