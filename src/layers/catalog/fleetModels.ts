/**
 * The models of a fleet, merged from what each backend lists.
 *
 * @since 0.1.0
 */
import type { Model } from "../../services/ModelCatalog.ts"
import * as ModelName from "../../services/ModelName.ts"
import type { ShowModel, TagsModel } from "../../services/OllamaApi.ts"

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

interface Merging {
  readonly owners: Map<string, { readonly digest: string; readonly size: number }>
  readonly capabilities: Set<string>
  remote: boolean
  contextTrained: number | undefined
}

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
 * @category models
 * @since 0.1.0
 */
export class FleetModels {
  /** By id of the backend. */
  readonly lists = new Map<string, ReadonlyArray<TagsModel>>()
  /** By digest of the manifest. */
  readonly described = new Map<string, Described>()
  models: ReadonlyArray<Model> = []
  version = 0
  private byKey: ReadonlyMap<string, Model> = new Map()
  private readonly spellings = new Map<string, Model>()

  peek(name: string): Model | undefined {
    const known = this.spellings.get(name)
    if (known !== undefined || name.length > nameLengthMax) return known
    const found = this.byKey.get(ModelName.canonical(name))
    if (found === undefined) return undefined
    if (this.spellings.size >= spellingsMax) this.spellings.clear()
    this.spellings.set(name, found)
    return found
  }

  forget(backend: string, { key }: Model): void {
    const rows = this.lists.get(backend)
    if (rows === undefined) return
    this.lists.set(backend, rows.filter((row) => ModelName.canonical(row.model) !== key))
    this.merge()
  }

  /** Makes the models again from the lists. A model that has not changed stays the same object. */
  merge(): void {
    const merging = this.mergedLists()
    const byKey = new Map<string, Model>()
    let changed = merging.size !== this.byKey.size
    for (const [key, { capabilities, contextTrained, owners, remote }] of merging) {
      const made: Model = { key, owners, capabilities: Array.from(capabilities).sort(), remote, contextTrained }
      const before = this.byKey.get(key)
      const kept = before !== undefined && same(before, made)
      if (!kept) changed = true
      byKey.set(key, kept ? before : made)
    }
    if (!changed) return
    this.byKey = byKey
    this.models = Array.from(byKey.values()).sort((a, b) => a.key < b.key ? -1 : 1)
    this.spellings.clear()
    this.version++
  }

  private mergedLists(): ReadonlyMap<string, Merging> {
    const merging = new Map<string, Merging>()
    for (const [backend, rows] of this.lists) {
      for (const row of rows) {
        const key = ModelName.canonical(row.model)
        let into = merging.get(key)
        if (into === undefined) {
          into = { owners: new Map(), capabilities: new Set(), remote: true, contextTrained: undefined }
          merging.set(key, into)
        }
        into.owners.set(backend, { digest: row.digest, size: row.size })
        for (const each of row.capabilities ?? this.described.get(row.digest)?.capabilities ?? []) {
          into.capabilities.add(each)
        }
        if (!isRemote(row)) into.remote = false
        const trained = row.details?.context_length
        if (trained !== undefined && trained > 0) into.contextTrained = Math.max(into.contextTrained ?? 0, trained)
      }
    }
    return merging
  }

  /** Digests of the backend's manifests that were not described yet, each with its name there. */
  undescribed(backend: string): ReadonlyMap<string, string> {
    const missing = new Map<string, string>()
    for (const row of this.lists.get(backend) ?? []) {
      if (row.digest !== "" && !isRemote(row) && !this.described.has(row.digest)) missing.set(row.digest, row.model)
    }
    return missing
  }

  /** Drops the descriptions of manifests that no backend has any more. */
  prune(): void {
    const present = new Set<string>()
    for (const rows of this.lists.values()) for (const { digest } of rows) present.add(digest)
    for (const digest of this.described.keys()) if (!present.has(digest)) this.described.delete(digest)
  }
}
