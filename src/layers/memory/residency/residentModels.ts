/**
 * The models in one backend's memory as far as the router knows: the newest reading of `/api/ps`, corrected by what
 * the router has done since.
 *
 * @since 0.1.0
 */
import { Option } from "effect"
import type { Backend } from "../../../services/Fleet.ts"
import type { Model, ModelCatalog } from "../../../services/ModelCatalog.ts"
import * as ModelName from "../../../services/ModelName.ts"
import type { PsModel } from "../../../services/OllamaApi.ts"
import type { ResidentModel } from "../../../services/Residency.ts"
import type { Allocation } from "../../../services/VramLedger.ts"
import { expiry, LoadedModel, type Memory } from "./loadedModel.ts"
import { UseRate } from "./useRate.ts"

/**
 * The models in the memory of one backend.
 *
 * @category models
 * @since 0.1.0
 */
export class ResidentModels {
  readonly backend: string
  readonly catalog: Pick<ModelCatalog["Service"], "peek" | "blob">
  readonly loaded: Map<string, LoadedModel> = new Map()
  /** How often models are used, by key, whether they are in memory or not. */
  readonly uses: Map<string, UseRate> = new Map()
  /** The automatic context that models had when last seen. */
  readonly contexts: Map<string, number> = new Map()
  /** Number of the newest reading that was applied. */
  readSeq = -1
  /** Models that left memory while requests used them: they still count as used if they come back. */
  private readonly ghosts = new Map<string, LoadedModel>()
  /** When the backend last said that a model was not there, by key. */
  private readonly forgotten = new Map<string, number>()
  private allForgotten = -1
  private readonly memory: Memory

  constructor(backend: string, catalog: Pick<ModelCatalog["Service"], "peek" | "blob">, memory: Memory) {
    this.backend = backend
    this.catalog = catalog
    this.memory = memory
  }

  /**
   * The model in memory, also when it was loaded under another name: two names of the same weights share a runner,
   * which `/api/ps` lists under the name that loaded it.
   */
  find(model: Model): LoadedModel | undefined {
    const exact = this.loaded.get(model.key)
    if (exact !== undefined || this.loaded.size === 0) return exact
    const digest = model.owners.get(this.backend)?.digest
    const blob = this.blobIn(model)
    if (!digest && blob === undefined) return undefined
    for (const loaded of this.loaded.values()) {
      if (digest && loaded.row?.digest === digest) return loaded
      const other = this.catalog.peek(loaded.key)
      if (digest && other?.owners.get(this.backend)?.digest === digest) return loaded
      if (blob !== undefined && other !== undefined && this.blobIn(other) === blob) return loaded
    }
    return undefined
  }

  /**
   * Whether two names are known to be names of the same weights on this backend. Such names share a runner, so also
   * its loads, their failures and its pins.
   */
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
    return model === undefined ? undefined : this.blobIn(model)
  }

  private blobIn(model: Model): string | undefined {
    return Option.getOrUndefined(this.catalog.blob(model, this.backend))
  }

  alive(loaded: LoadedModel, now: number): boolean {
    return loaded.expiresAt === undefined || loaded.seq > this.readSeq || now < loaded.expiresAt
  }

  /** Whether no request uses the model, nor its weights under another name that is in memory or was before. */
  idle(loaded: LoadedModel): boolean {
    if (loaded.refs > 0) return false
    for (const others of [this.ghosts, this.loaded]) {
      for (const other of others.values()) if (other.refs > 0 && this.same(other.key, loaded.key)) return false
    }
    return true
  }

  /**
   * Milliseconds since a request last used the model or waited for it. A request that waits, because something else
   * keeps it from the model, will use it at once.
   */
  restedMillis(loaded: LoadedModel, now: number): number {
    return now - Math.max(loaded.wantedAt, this.uses.get(loaded.key)?.lastAt ?? -Infinity)
  }

  /** The router has used or loaded the model, so it is in memory. Returns whether it was absent before. */
  assume(
    model: Model,
    seq: number,
    now: number,
    load?: { readonly allocation: Allocation; readonly tier: number | undefined; readonly on?: Backend },
  ): boolean {
    let loaded = this.find(model)
    const wasAlive = loaded !== undefined && this.alive(loaded, now)
    if (loaded === undefined) loaded = this.create(model.key, seq, now)
    loaded.seq = seq
    if (load !== undefined) {
      const { allocation: before } = loaded
      loaded.allocation = load.allocation
      loaded.chargedOn = load.on
      loaded.tier = load.tier
      loaded.ours = true
      loaded.loadedAt = now
      loaded.draining = false
      if (before !== load.allocation) this.memory.move(before, "gone")
    }
    return !wasAlive
  }

  used(key: string, now: number, client: string | undefined): void {
    const uses = this.uses.get(key)
    if (uses === undefined) this.uses.set(key, new UseRate(now, client))
    else uses.add(now, client)
  }

  /** Applies a reading that began at `seq`. Returns whether anything changed that can be seen from outside. */
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
    for (const loaded of this.loaded.values()) {
      if (listed.has(loaded.key) || loaded.seq > seq) continue
      this.remove(loaded)
      changed = true
    }
    for (const [key, at] of this.forgotten) if (at < seq) this.forgotten.delete(key)
    return changed
  }

  private show(key: string, row: PsModel, seq: number, now: number): boolean {
    const loaded = this.loaded.get(key) ?? this.create(key, seq, now)
    const before = loaded.row
    loaded.row = row
    loaded.expiresAt = expiry(row, now)
    // Somebody else has loaded it again with another context. Whether that is the automatic one is not known.
    if (loaded.tier !== undefined && row.context_length !== undefined && row.context_length !== loaded.tier) {
      loaded.tier = undefined
      loaded.ours = false
    }
    if (loaded.tier === undefined && loaded.ours && row.context_length !== undefined) {
      this.contexts.set(key, row.context_length)
    }
    this.memory.observe(loaded, row)
    return before === undefined || before.size !== row.size || before.size_vram !== row.size_vram ||
      before.context_length !== row.context_length || before.digest !== row.digest
  }

  /** The backend says that a model, or every model, is not in memory. Returns whether it was there. */
  forget(model: Model | undefined, seq: number): boolean {
    if (model === undefined) {
      this.allForgotten = seq
      const had = this.loaded.size > 0
      for (const loaded of Array.from(this.loaded.values())) this.remove(loaded)
      return had
    }
    const loaded = this.find(model)
    this.forgotten.set(loaded?.key ?? model.key, seq)
    if (loaded === undefined) return false
    this.remove(loaded)
    return true
  }

  /** A request that used the model has ended. */
  release(loaded: LoadedModel): void {
    loaded.refs--
    if (loaded.refs <= 0 && this.ghosts.get(loaded.key) === loaded) this.ghosts.delete(loaded.key)
  }

  private create(key: string, seq: number, now: number): LoadedModel {
    const ghost = this.ghosts.get(key)
    const loaded = ghost ?? new LoadedModel(key, seq, now)
    if (ghost !== undefined) {
      this.ghosts.delete(key)
      ghost.seq = seq
      ghost.loadedAt = now
    }
    this.loaded.set(key, loaded)
    return loaded
  }

  private remove(loaded: LoadedModel): void {
    const { allocation } = loaded
    loaded.allocation = undefined
    loaded.chargedOn = undefined
    loaded.row = undefined
    loaded.expiresAt = undefined
    loaded.tier = undefined
    loaded.ours = false
    loaded.draining = false
    loaded.spilled = false
    this.loaded.delete(loaded.key)
    if (loaded.refs > 0) this.ghosts.set(loaded.key, loaded)
    // Last: the ledger may tell its listeners, which must not find a model that is half removed.
    this.memory.move(allocation, "releasing")
  }

  list(now: number): ReadonlyArray<ResidentModel> {
    const all: Array<ResidentModel> = []
    for (const loaded of this.loaded.values()) {
      if (!this.alive(loaded, now)) continue
      all.push({
        backend: this.backend,
        model: loaded.key,
        state: loaded.draining ? "draining" : "resident",
        size: loaded.row?.size,
        sizeVram: loaded.row?.size_vram,
        contextLength: loaded.row?.context_length,
        expiresAt: loaded.expiresAt,
        source: loaded.seq > this.readSeq || loaded.row === undefined ? "assumed" : "observed",
      })
    }
    return all
  }
}
