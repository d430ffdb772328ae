/**
 * One model in a backend's memory.
 *
 * @since 0.1.0
 */
import type { Backend } from "../../../services/Fleet.ts"
import type { PsModel } from "../../../services/OllamaApi.ts"
import type { Allocation, AllocationState } from "../../../services/VramLedger.ts"

/** One model in a backend's memory. @category models @since 0.1.0 */
export class LoadedModel {
  /** Canonical key of the name under which the model was loaded. */
  readonly key: string
  /**
   * When the router last used or loaded the model. The same counter numbers the readings, so a reading that began
   * before this number says nothing about the model.
   */
  seq: number
  /** The newest row of `/api/ps`; `undefined` until a reading has shown the model. */
  row: PsModel | undefined = undefined
  /** Milliseconds by the router's clock; `Infinity` for "for ever"; `undefined` while not known. */
  expiresAt: number | undefined = undefined
  allocation: Allocation | undefined = undefined
  /** The backend, with its devices, when the allocation was last compared with a reading. */
  chargedOn: Backend | undefined = undefined
  /** The explicit context with which the router loaded the model; `undefined` for the automatic context. */
  tier: number | undefined = undefined
  /** Whether the router loaded the model. Only then does the router know whether the context is the automatic one. */
  ours = false
  loadedAt: number
  /** Number of requests that use the model. */
  refs = 0
  /** When a request last waited for the model. */
  wantedAt = -Infinity
  /** A draining model gets no new requests, and is unloaded when it is idle. */
  draining = false
  /** Whether the newest reading showed layers in system memory that should be on a GPU. */
  spilled = false

  constructor(key: string, seq: number, now: number) {
    this.key = key
    this.seq = seq
    this.loadedAt = now
  }
}

/** Where readings are reported to. @category models @since 0.1.0 */
export interface Memory {
  /** A reading showed the model: its memory is charged, also when the router has not loaded it. */
  readonly observe: (loaded: LoadedModel, row: PsModel) => void
  /** Moves an allocation on. Never throws: a model that has gone must not stay because of a listener of the ledger. */
  readonly move: (allocation: Allocation | undefined, to: AllocationState) => void
}

/** Ollama writes "for ever" as a date in the year 2319 or 2262; everything later than this is "for ever". */
const forever = 200 * 365 * 86_400_000

/**
 * When a row of `/api/ps` expires, in milliseconds by the router's clock.
 *
 * While a request runs, Ollama lists the model with an expiry in the past. So a row whose expiry has passed counts as
 * resident until a later reading says otherwise, and so does a row whose expiry cannot be read: both give `undefined`.
 *
 * @category conversions
 * @since 0.1.0
 */
export const expiry = (row: PsModel, now: number): number | undefined => {
  const at = Date.parse(row.expires_at)
  if (Number.isNaN(at) || at <= now) return undefined
  return at - now > forever ? Infinity : at
}
