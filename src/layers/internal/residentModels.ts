/**
 * What one backend holds in memory, as far as the router knows: readings of `/api/ps`, corrected by what the router did since.
 *
 * @since 0.1.0
 */
import { Option } from "effect"
import type { Model, ModelCatalog } from "../../services/ModelCatalog.ts"
import * as ModelName from "../../services/ModelName.ts"
import type { PsModel } from "../../services/OllamaApi.ts"
import type { ResidentModel } from "../../services/Residency.ts"
import type { Allocation } from "../../services/VramLedger.ts"

/** One model in memory. `seq` orders it with the beginnings of readings. @category models @since 0.1.0 */
export interface Entry {
  readonly key: string
  /** When the router last used or loaded it: a reading that began before says nothing about it. */
  seq: number
  row: PsModel | undefined
  expiresAt: number | undefined
  allocation: Allocation | undefined
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

/**
 * The entries of one backend.
 *
 * @category models
 * @since 0.1.0
 */
export class ResidentModels {
  readonly backend: string
  readonly catalog: ModelCatalog["Service"]
  readonly entries = new Map<string, Entry>()
  /** Beginning of the newest reading that was applied. */
  private readSeq = -1
  /** When models were last said to be gone, each and all. */
  private readonly forgotten = new Map<string, number>()
  private allForgotten = -1

  constructor(backend: string, catalog: ModelCatalog["Service"]) {
    this.backend = backend
    this.catalog = catalog
  }

  /** The entry of a model, or of an alias of it: two names of one set of weights share a runner, listed under the name that loaded it. */
  find(model: Model): Entry | undefined {
    const exact = this.entries.get(model.key)
    if (exact !== undefined || this.entries.size === 0) return exact
    const digest = model.owners.get(this.backend)?.digest
    const blob = Option.getOrUndefined(this.catalog.blob(model, this.backend))
    if (!digest && blob === undefined) return undefined
    for (const entry of this.entries.values()) {
      if (digest && entry.row?.digest === digest) return entry
      if (blob === undefined) continue
      const other = this.catalog.peek(entry.key)
      if (other === undefined) continue
      if (Option.getOrUndefined(this.catalog.blob(other, this.backend)) === blob) return entry
    }
    return undefined
  }

  alive(entry: Entry, now: number): boolean {
    return entry.expiresAt === undefined || entry.seq > this.readSeq || now < entry.expiresAt
  }

  /** The router used the model, or has loaded it. Whether it was not there before. */
  assume(model: Model, seq: number, now: number, allocation?: Allocation): boolean {
    const entry = this.find(model)
    if (entry !== undefined) {
      const wasAlive = this.alive(entry, now)
      entry.seq = seq
      if (allocation !== undefined) {
        if (entry.allocation !== allocation) entry.allocation?.move("gone")
        entry.allocation = allocation
      }
      return !wasAlive
    }
    this.entries.set(model.key, { key: model.key, seq, row: undefined, expiresAt: undefined, allocation })
    return true
  }

  /** Takes over a reading that began at `seq`. Whether anything visible changed. */
  apply(rows: ReadonlyArray<PsModel>, seq: number, now: number): boolean {
    if (seq < this.readSeq) return false
    this.readSeq = seq
    let changed = false
    const listed = new Set<string>()
    for (const row of rows) {
      const key = ModelName.canonical(row.model)
      if (seq < this.allForgotten || seq < (this.forgotten.get(key) ?? -1)) continue
      listed.add(key)
      const entry = this.entries.get(key)
      const expiresAt = expiry(row, now)
      if (entry === undefined) {
        this.entries.set(key, { key, seq, row, expiresAt, allocation: undefined })
        changed = true
        continue
      }
      const before = entry.row
      if (
        before === undefined || before.size !== row.size || before.size_vram !== row.size_vram ||
        before.context_length !== row.context_length || before.digest !== row.digest
      ) changed = true
      entry.row = row
      entry.expiresAt = expiresAt
    }
    for (const entry of this.entries.values()) {
      if (listed.has(entry.key) || entry.seq > seq) continue
      this.remove(entry)
      changed = true
    }
    for (const [key, at] of this.forgotten) if (at < seq) this.forgotten.delete(key)
    return changed
  }

  /** The backend says that a model, or everything, is gone. Whether it was there. */
  forget(model: Model | undefined, seq: number): boolean {
    if (model === undefined) {
      this.allForgotten = seq
      const had = this.entries.size > 0
      for (const entry of this.entries.values()) this.remove(entry)
      return had
    }
    const entry = this.find(model)
    this.forgotten.set(entry?.key ?? model.key, seq)
    if (entry === undefined) return false
    this.remove(entry)
    return true
  }

  private remove(entry: Entry): void {
    entry.allocation?.move("gone")
    this.entries.delete(entry.key)
  }

  list(now: number): ReadonlyArray<ResidentModel> {
    const all: Array<ResidentModel> = []
    for (const entry of this.entries.values()) {
      if (!this.alive(entry, now)) continue
      all.push({
        backend: this.backend,
        model: entry.key,
        state: "resident",
        size: entry.row?.size,
        sizeVram: entry.row?.size_vram,
        contextLength: entry.row?.context_length,
        expiresAt: entry.expiresAt,
        source: entry.seq > this.readSeq || entry.row === undefined ? "assumed" : "observed",
      })
    }
    return all
  }
}
