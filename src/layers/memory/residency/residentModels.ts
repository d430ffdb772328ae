/**
 * What one backend holds in memory, as far as the router knows: readings of `/api/ps`, corrected by what the router did since.
 *
 * @since 0.1.0
 */
import { Option } from "effect"
import type { Model, ModelCatalog } from "../../../services/ModelCatalog.ts"
import * as ModelName from "../../../services/ModelName.ts"
import type { PsModel } from "../../../services/OllamaApi.ts"
import type { ResidentModel } from "../../../services/Residency.ts"
import type { Allocation } from "../../../services/VramLedger.ts"
import { Entry, expiry } from "./entry.ts"
import { Usage } from "./usage.ts"

/** What the owner of the entries does about memory. @category models @since 0.1.0 */
export interface Memory {
  /** A reading showed it: charges what is there without having been loaded by the router. */
  readonly observe: (entry: Entry, row: PsModel) => void
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
  /** How models have been used, in memory or not. */
  readonly usage = new Map<string, Usage>()
  /** The context that models had which the backend chose itself. */
  readonly contexts = new Map<string, number>()
  /** Beginning of the newest reading that was applied. */
  readSeq = -1
  /** Removed while requests used them: they are still used, should they come back. */
  private readonly ghosts = new Map<string, Entry>()
  /** When models were last said to be gone, each and all. */
  private readonly forgotten = new Map<string, number>()
  private allForgotten = -1
  private readonly memory: Memory

  constructor(backend: string, catalog: ModelCatalog["Service"], memory: Memory) {
    this.backend = backend
    this.catalog = catalog
    this.memory = memory
  }

  /** The entry of a model, or of an alias of it: two names of one set of weights share a runner, listed under the name that loaded it. */
  find(model: Model): Entry | undefined {
    const exact = this.entries.get(model.key)
    if (exact !== undefined || this.entries.size === 0) return exact
    const digest = model.owners.get(this.backend)?.digest
    const blob = Option.getOrUndefined(this.catalog.blob(model, this.backend))
    if (!digest && blob === undefined) return undefined
    for (const entry of this.entries.values()) {
      if (digest && (entry.row?.digest === digest || this.digestOf(entry.key) === digest)) return entry
      if (blob !== undefined && this.blobOf(entry.key) === blob) return entry
    }
    return undefined
  }

  /** Whether two names are of one set of weights here, as far as is known: they share a runner, so also its loads, their failures and its pins. */
  same(one: string, other: string): boolean {
    if (one === other) return true
    const digest = this.digestOf(one)
    if (digest && this.digestOf(other) === digest) return true
    const blob = this.blobOf(one)
    return blob !== undefined && this.blobOf(other) === blob
  }

  private digestOf(key: string): string | undefined {
    return this.catalog.peek(key)?.owners.get(this.backend)?.digest
  }

  blobOf(key: string): string | undefined {
    const model = this.catalog.peek(key)
    return model === undefined ? undefined : Option.getOrUndefined(this.catalog.blob(model, this.backend))
  }

  alive(entry: Entry, now: number): boolean {
    return entry.expiresAt === undefined || entry.seq > this.readSeq || now < entry.expiresAt
  }

  /** Whether no request uses it, nor its weights under a name it had before. */
  idle(entry: Entry): boolean {
    if (entry.refs > 0) return false
    if (this.ghosts.size === 0) return true
    const blob = this.blobOf(entry.key)
    if (blob === undefined) return true
    for (const ghost of this.ghosts.values()) if (this.blobOf(ghost.key) === blob) return false
    return true
  }

  /** Since it was last used, or waited for: who is kept from it by something else will use it at once. */
  restedMillis(entry: Entry, now: number): number {
    return now - Math.max(entry.wantedAt, this.usage.get(entry.key)?.lastAt ?? -Infinity)
  }

  /** The router used the model, or has loaded it. Whether it was not there before. */
  assume(
    model: Model,
    seq: number,
    now: number,
    loaded?: { allocation: Allocation; tier: number | undefined },
  ): boolean {
    let entry = this.find(model)
    const wasAlive = entry !== undefined && this.alive(entry, now)
    if (entry === undefined) entry = this.create(model.key, seq, now)
    entry.seq = seq
    if (loaded !== undefined) {
      if (entry.allocation !== loaded.allocation) entry.allocation?.move("gone")
      entry.allocation = loaded.allocation
      entry.tier = loaded.tier
      entry.ours = true
      entry.loadedAt = now
      entry.draining = false
    }
    return !wasAlive
  }

  used(key: string, now: number): void {
    const usage = this.usage.get(key)
    if (usage === undefined) this.usage.set(key, new Usage(now))
    else usage.add(now)
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
      if (this.show(key, row, seq, now)) changed = true
    }
    for (const entry of this.entries.values()) {
      if (listed.has(entry.key) || entry.seq > seq) continue
      this.remove(entry)
      changed = true
    }
    for (const [key, at] of this.forgotten) if (at < seq) this.forgotten.delete(key)
    return changed
  }

  private show(key: string, row: PsModel, seq: number, now: number): boolean {
    const entry = this.entries.get(key) ?? this.create(key, seq, now)
    const before = entry.row
    entry.row = row
    entry.expiresAt = expiry(row, now)
    // Loaded again behind our back with another context: then it is as much the backend's own choice as anybody knows.
    if (entry.tier !== undefined && row.context_length !== undefined && row.context_length !== entry.tier) {
      entry.tier = undefined
      entry.ours = false
    }
    if (entry.tier === undefined && entry.ours && row.context_length !== undefined) {
      this.contexts.set(key, row.context_length)
    }
    this.memory.observe(entry, row)
    return before === undefined || before.size !== row.size || before.size_vram !== row.size_vram ||
      before.context_length !== row.context_length || before.digest !== row.digest
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

  /** A request has ended that used the entry. */
  release(entry: Entry): void {
    entry.refs--
    if (entry.refs <= 0 && this.ghosts.get(entry.key) === entry) this.ghosts.delete(entry.key)
  }

  private create(key: string, seq: number, now: number): Entry {
    const ghost = this.ghosts.get(key)
    const entry = ghost ?? new Entry(key, seq, now)
    if (ghost !== undefined) {
      this.ghosts.delete(key)
      ghost.seq = seq
      ghost.loadedAt = now
    }
    this.entries.set(key, entry)
    return entry
  }

  private remove(entry: Entry): void {
    entry.allocation?.move("releasing")
    entry.allocation = undefined
    entry.row = undefined
    entry.expiresAt = undefined
    entry.tier = undefined
    entry.ours = false
    entry.draining = false
    entry.spilled = false
    this.entries.delete(entry.key)
    if (entry.refs > 0) this.ghosts.set(entry.key, entry)
  }

  list(now: number): ReadonlyArray<ResidentModel> {
    const all: Array<ResidentModel> = []
    for (const entry of this.entries.values()) {
      if (!this.alive(entry, now)) continue
      all.push({
        backend: this.backend,
        model: entry.key,
        state: entry.draining ? "draining" : "resident",
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
