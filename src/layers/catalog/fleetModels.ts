/**
 * The models of a fleet, merged from what each backend lists.
 *
 * @since 0.1.0
 */
import type { Model } from "../../services/ModelCatalog.ts"
import * as ModelName from "../../services/ModelName.ts"
import type { ShowModel, TagsModel } from "../../services/OllamaApi.ts"
import { ListedDigests } from "./listedDigests.ts"
import { isOtherOwner, type Listed, listedOf, none, type Rows, sameRows } from "./listedRows.ts"

/** What `/api/show` says about a manifest. @category models @since 0.1.0 */
export interface Described {
  /** Digest of the weights. */
  readonly blob: string | undefined
  readonly capabilities: ReadonlyArray<string>
}

/** A longer name belongs to no model: it is not looked up, so that it is not remembered. */
const nameLengthMax = 512
/** Spellings that are remembered. When there are more, all are forgotten and collected again. */
const spellingsMax = 2048

/** The digest of the weights is only in the Modelfile: `FROM /…/blobs/sha256-<hex>`. */
const weights = /^FROM\s.*sha256[-:]([0-9a-f]{64})\s*$/im

/** Reads an answer of `/api/show`. @category conversions @since 0.1.0 */
export const described = (show: ShowModel): Described => ({
  blob: weights.exec(show.modelfile ?? "")?.[1]?.toLowerCase(),
  capabilities: show.capabilities ?? [],
})

/**
 * Whether a row stands for a model that ollama.com runs: it has no weights on the backend.
 *
 * @category predicates
 * @since 0.1.0
 */
export const isRemote = (row: TagsModel): boolean =>
  row.remote_host !== undefined || row.remote_model !== undefined || ModelName.parse(row.model).cloud

const same = (a: Model, b: Model): boolean => {
  if (a.contextTrained !== b.contextTrained) return false
  if (a.remote !== b.remote || a.owners.size !== b.owners.size || a.capabilities.join() !== b.capabilities.join()) {
    return false
  }
  for (const [id, owner] of a.owners) {
    const other = b.owners.get(id)
    if (other === undefined || other.digest !== owner.digest || other.size !== owner.size) return false
  }
  return true
}

/**
 * The last list of each backend, and the models that they add up to.
 *
 * **Details**
 *
 * A list that says what it said before costs one look at its rows. Of other lists only the models that differ are made
 * again, each when it is next asked for: a reading of a thousand backends does not merge all lists a thousand times.
 *
 * @category models
 * @since 0.1.0
 */
export class FleetModels {
  /** By digest of the manifest. Add with `describe`. */
  readonly described: ReadonlyMap<string, Described>
  /** Rises with every change of a model. */
  version = 0
  private readonly descriptions = new Map<string, Described>()
  private readonly lists = new Map<string, Listed>()
  private readonly digests = new ListedDigests()
  private readonly made = new Map<string, Model>()
  /** Keys of models that have changed since they were made. */
  private readonly stale = new Set<string>()
  private readonly spellings = new Map<string, Model>()
  private sorted: ReadonlyArray<Model> | undefined = []

  constructor() {
    this.described = this.descriptions
  }

  /** Sorted by key. A model that has not changed stays the same object. */
  get models(): ReadonlyArray<Model> {
    if (this.sorted === undefined) {
      for (const key of Array.from(this.stale)) this.model(key)
      this.sorted = Array.from(this.made.values()).sort((a, b) => a.key < b.key ? -1 : 1)
    }
    return this.sorted
  }

  peek(name: string): Model | undefined {
    const known = this.spellings.get(name)
    if (known !== undefined || name.length > nameLengthMax) return known
    const found = this.model(ModelName.canonical(name))
    if (found === undefined) return undefined
    if (this.spellings.size >= spellingsMax) this.spellings.clear()
    this.spellings.set(name, found)
    return found
  }

  /** What a backend lists now. */
  list(backend: string, rows: Rows): void {
    const before = this.lists.get(backend)
    if (before !== undefined && sameRows(before.rows, rows)) return
    const now = listedOf(rows)
    this.lists.set(backend, now)
    this.replaced(before ?? none, now)
  }

  /** A backend has left. */
  remove(backend: string): void {
    const before = this.lists.get(backend)
    if (before === undefined) return
    this.lists.delete(backend)
    this.replaced(before, none)
  }

  forget(backend: string, { key }: Model): void {
    const rows = this.lists.get(backend)?.rows
    if (rows !== undefined) this.list(backend, rows.filter((row) => ModelName.canonical(row.model) !== key))
  }

  /** What `/api/show` has said about a manifest. */
  describe(digest: string, described: Described): void {
    this.descriptions.set(digest, described)
    this.changed(Array.from(this.digests.keys(digest)).filter((key) => this.differs(key)))
  }

  /** Digests of the backend's manifests that were not described yet, each with its name there. */
  undescribed(backend: string): ReadonlyMap<string, string> {
    const missing = new Map<string, string>()
    for (const row of this.lists.get(backend)?.rows ?? []) {
      if (row.digest !== "" && !isRemote(row) && !this.described.has(row.digest)) missing.set(row.digest, row.model)
    }
    return missing
  }

  /** Drops the descriptions of manifests that no backend has any more. */
  prune(): void {
    for (const digest of this.digests.takeUnlisted()) this.descriptions.delete(digest)
  }

  private replaced(before: Listed, now: Listed): void {
    for (const { digest } of now.rows) this.digests.add(digest)
    for (const { digest } of before.rows) this.digests.remove(digest)
    const changed: Array<string> = []
    for (const [key, rows] of now.byKey) {
      for (const { digest } of rows) this.digests.name(digest, key)
      const old = before.byKey.get(key)
      if (isOtherOwner(old, rows) || (!sameRows(old ?? [], rows) && this.differs(key))) changed.push(key)
    }
    const gone = Array.from(before.byKey.keys()).filter((key) => !now.byKey.has(key))
    this.changed([...changed, ...gone])
    for (const key of gone) if (!this.isListed(key)) this.drop(key)
  }

  private isListed(key: string): boolean {
    for (const { byKey } of this.lists.values()) if (byKey.has(key)) return true
    return false
  }

  private drop(key: string): void {
    this.stale.delete(key)
    this.made.delete(key)
  }

  private changed(keys: ReadonlyArray<string>): void {
    if (keys.length === 0) return
    for (const key of keys) this.stale.add(key)
    this.spellings.clear()
    this.sorted = undefined
    this.version++
  }

  /** Whether the lists say something else of a model than was made of them. */
  private differs(key: string): boolean {
    if (this.stale.has(key)) return true
    const before = this.made.get(key)
    const now = this.merged(key)
    return before === undefined || now === undefined ? before !== now : !same(before, now)
  }

  private model(key: string): Model | undefined {
    if (!this.stale.delete(key)) return this.made.get(key)
    const before = this.made.get(key)
    const now = this.merged(key)
    if (now === undefined) this.made.delete(key)
    else if (before === undefined || !same(before, now)) this.made.set(key, now)
    return this.made.get(key)
  }

  /** One model, from the lists of all backends. */
  private merged(key: string): Model | undefined {
    const owners = new Map<string, { readonly digest: string; readonly size: number }>()
    const capabilities = new Set<string>()
    let remote = true
    let contextTrained: number | undefined
    for (const [backend, { byKey }] of this.lists) {
      for (const row of byKey.get(key) ?? []) {
        owners.set(backend, { digest: row.digest, size: row.size })
        for (const each of row.capabilities ?? this.described.get(row.digest)?.capabilities ?? []) {
          capabilities.add(each)
        }
        if (!isRemote(row)) remote = false
        const trained = row.details?.context_length
        if (trained !== undefined && trained > 0) contextTrained = Math.max(contextTrained ?? 0, trained)
      }
    }
    if (owners.size === 0) return undefined
    return { key, owners, capabilities: Array.from(capabilities).sort(), remote, contextTrained }
  }
}
