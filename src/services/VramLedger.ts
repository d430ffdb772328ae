/**
 * Device memory promised to models, from the start of a load to the end of its release.
 *
 * @since 0.1.0
 */
import { Context, type Effect } from "effect"
import type { Backend } from "./Fleet.ts"
import type { Model } from "./ModelCatalog.ts"

/**
 * `draining`: no new request goes there and it will be unloaded when idle. `releasing`: unloaded, but its memory may not be back yet.
 *
 * @category models
 * @since 0.1.0
 */
export type AllocationState = "reserved" | "loading" | "resident" | "draining" | "releasing" | "gone"

/** A part of an allocation. @category models @since 0.1.0 */
export interface Share {
  /** As in `Backend.devices`: a GPU's UUID, or `system`. */
  readonly device: string
  readonly bytes: number
}

/**
 * Memory charged to one model on one backend. It outlives requests: Ollama allocates the KV cache per runner, not per request.
 *
 * @category models
 * @since 0.1.0
 */
export interface Allocation {
  readonly backend: string
  /** Canonical key of the model. */
  readonly model: string
  /** What is charged, by device; empty where memory is not managed. */
  readonly shares: () => ReadonlyArray<Share>
  readonly state: () => AllocationState
  /** Moves on. `gone` gives the memory back; later calls do nothing. After `releasing` the ledger itself says when it is gone. */
  readonly move: (to: AllocationState) => void
}

/** One way to make room: so many bytes given back over these devices. @category models @since 0.1.0 */
export interface Freeing {
  readonly devices: ReadonlyArray<string>
  readonly bytes: number
}

/** No room now: the load has to wait, or something has to be unloaded first. @category models @since 0.1.0 */
export interface NoRoom {
  readonly _tag: "NoRoom"
  /** In words, for events. */
  readonly reason: string
  /** Any one of these would do, the least bytes first; empty when only time can help. */
  readonly freeing: ReadonlyArray<Freeing>
  /** It would not fit into the empty devices either. */
  readonly never: boolean
}

/** One row of `/api/ps`, as far as memory goes. @category models @since 0.1.0 */
export interface Observed {
  /** Bytes, all buffers. */
  readonly size: number
  /** Bytes on GPUs. */
  readonly sizeVram: number
  readonly contextLength: number | undefined
  /** Whether the backend chose that context itself. */
  readonly automatic: boolean
}

/** What the ledger knows of a device. Bytes; `undefined` is "not known". @category models @since 0.1.0 */
export interface DeviceStatus {
  readonly device: string
  /** Ids of the backends that use it. */
  readonly backends: ReadonlyArray<string>
  readonly declared: number | undefined
  /** By the last good reading. */
  readonly total: number | undefined
  readonly free: number | undefined
  /** What allocations may add up to: min(declared or total, last good free + our own) - reserve. */
  readonly capacity: number | undefined
  /** The sum of the allocations. */
  readonly held: number
  /** In use by others, when it was last read. */
  readonly foreign: number | undefined
  /** Milliseconds by the router's clock. */
  readonly readAt: number | undefined
  /** Why the newest reading is not a good one; empty when it is. */
  readonly failure: string
}

/**
 * Commits or refuses memory.
 *
 * @category services
 * @since 0.1.0
 */
export class VramLedger extends Context.Service<VramLedger, {
  /** Whether capacity is known there; when not, Ollama manages memory, loads are serial and spills are only reported. */
  readonly managed: (backend: Backend) => boolean
  /** Reads what `reserve` has to know of a model there; `undefined` when it knows already. */
  readonly prepare: (backend: Backend, model: Model) => Effect.Effect<void> | undefined
  /** Bytes a load would be charged; `undefined` when not known, or not managed. `numCtx` as in `reserve`. */
  readonly needs: (backend: Backend, model: Model, numCtx?: number) => number | undefined
  /** Bytes free for new loads, over all devices of a backend; `undefined` when not known. */
  readonly room: (backend: Backend) => number | undefined
  /** Bytes the largest model may take there with nothing else loaded; `undefined` when not known. */
  readonly limit: (backend: Backend) => number | undefined
  /** The context that the backend would choose by itself; `undefined` when not known. */
  readonly context: (backend: Backend, model: Model) => number | undefined
  /** Check and commit in one synchronous step. `numCtx`: an explicit context, instead of the automatic one. */
  readonly reserve: (backend: Backend, model: Model, numCtx?: number) => Allocation | NoRoom
  /** Charges what is there already, whoever loaded it, so cannot refuse. */
  readonly adopt: (backend: Backend, model: string, observed: Observed) => Allocation
  /** What a load has really taken: charged from now on, and remembered for the next load. */
  readonly observe: (allocation: Allocation, model: Model | undefined, observed: Observed) => void
  /** Everything not `gone`. */
  readonly allocations: () => ReadonlyArray<Allocation>
  readonly devices: () => ReadonlyArray<DeviceStatus>
  /** Reads the devices now. */
  readonly refresh: Effect.Effect<void>
  /** Called synchronously after memory came back or capacity moved. Returns the way to stop. */
  readonly onChange: (listener: () => void) => () => void
}>()("llamero/services/VramLedger") {}
