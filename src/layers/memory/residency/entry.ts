/**
 * One model in a backend's memory.
 *
 * @since 0.1.0
 */
import type { PsModel } from "../../../services/OllamaApi.ts"
import type { Allocation } from "../../../services/VramLedger.ts"

/** One model in memory. @category models @since 0.1.0 */
export class Entry {
  readonly key: string
  /** When the router last used or loaded it, which orders it with the beginnings of readings: one that began before says nothing about it. */
  seq: number
  row: PsModel | undefined = undefined
  expiresAt: number | undefined = undefined
  allocation: Allocation | undefined = undefined
  /** The explicit context the router loaded it with. */
  tier: number | undefined = undefined
  /** Whether the router loaded it, so knows whether its context is the automatic one. */
  ours = false
  loadedAt: number
  /** Requests that use it. */
  refs = 0
  /** When a request was last found waiting for it. */
  wantedAt = -Infinity
  /** Gets no new requests, and is unloaded when it is idle. */
  draining = false
  spilled = false

  constructor(key: string, seq: number, now: number) {
    this.key = key
    this.seq = seq
    this.loadedAt = now
  }
}

/** Ollama says "for ever" with a date in the year 2319. */
const forever = 200 * 365 * 86_400_000

/**
 * The router's time at which a row expires. While a request runs, Ollama lists the model with an expiry in the past: such a model is resident until a later
 * reading says otherwise, and so is one whose expiry cannot be read.
 *
 * @category conversions
 * @since 0.1.0
 */
export const expiry = (row: PsModel, now: number): number | undefined => {
  const at = Date.parse(row.expires_at)
  if (Number.isNaN(at) || at <= now) return undefined
  return at - now > forever ? Infinity : at
}
