/**
 * Device memory promised to models, from the start of a load to the end of its release.
 *
 * @since 0.1.0
 */
import { Context } from "effect"
import type { Backend } from "./Fleet.ts"

/** @category models @since 0.1.0 */
export type AllocationState = "reserved" | "loading" | "resident" | "draining" | "releasing" | "gone"

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
  readonly state: () => AllocationState
  /** Moves on. `gone` gives the memory back; later calls do nothing. */
  readonly move: (to: AllocationState) => void
}

/** No room now: the load has to wait, or something has to be unloaded first. @category models @since 0.1.0 */
export interface NoRoom {
  readonly _tag: "NoRoom"
  /** In words, for events. */
  readonly reason: string
}

/**
 * Commits or refuses memory.
 *
 * @category services
 * @since 0.1.0
 */
export class VramLedger extends Context.Service<VramLedger, {
  /** Check and commit in one synchronous step. */
  readonly reserve: (backend: Backend, model: string) => Allocation | NoRoom
  /** Everything not `gone`. */
  readonly allocations: () => ReadonlyArray<Allocation>
  /** Whether capacity is known; when not, Ollama manages memory, loads are serial and spills are only reported. */
  readonly managed: boolean
}>()("llamero/services/VramLedger") {}
