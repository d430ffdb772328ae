/**
 * The models of a fleet, merged from what each backend lists.
 *
 * @since 0.1.0
 */
import type { Model } from "../../services/ModelCatalog.ts"
import * as ModelName from "../../services/ModelName.ts"
import type { ShowModel, TagsModel } from "../../services/OllamaApi.ts"

/** What `/api/show` said about a manifest. @category models @since 0.1.0 */
export interface Shown {
  readonly blob: string | undefined
  readonly capabilities: ReadonlyArray<string>
}

/** Longer names are nobody's: they are not looked up, so that they are not remembered either. */
const nameLengthMax = 512
/** Spellings remembered; beyond that they are all forgotten and learnt again. */
const spellingsMax = 2048

/** The weights are only named in the model file: `FROM /…/blobs/sha256-<hex>`. */
const weights = /^FROM\s.*sha256[-:]([0-9a-f]{64})\s*$/im

/** @category conversions @since 0.1.0 */
export const shown = (show: ShowModel): Shown => ({
  blob: weights.exec(show.modelfile ?? "")?.[1]?.toLowerCase(),
  capabilities: show.capabilities ?? [],
})

/** A stub of a model of ollama.com: no weights here, so nothing to show or to load. @category predicates @since 0.1.0 */
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
 * Keeps the last list of each backend, and the models that follow from them.
 *
 * @category models
 * @since 0.1.0
 */
export class FleetModels {
  readonly lists = new Map<string, ReadonlyArray<TagsModel>>()
  readonly shown = new Map<string, Shown>()
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

  /** Makes the models anew. A model that is as it was stays the same object. */
  merge(): void {
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
        for (const each of row.capabilities ?? this.shown.get(row.digest)?.capabilities ?? []) {
          into.capabilities.add(each)
        }
        if (!isRemote(row)) into.remote = false
        const trained = row.details?.context_length
        if (trained !== undefined && trained > 0) into.contextTrained = Math.max(into.contextTrained ?? 0, trained)
      }
    }
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

  /** Manifests that nobody has described yet, each with a backend's name for it. */
  unseen(backend: string): ReadonlyMap<string, string> {
    const missing = new Map<string, string>()
    for (const row of this.lists.get(backend) ?? []) {
      if (row.digest !== "" && !isRemote(row) && !this.shown.has(row.digest)) missing.set(row.digest, row.model)
    }
    return missing
  }

  /** Descriptions of manifests that no backend has any more are dropped. */
  prune(): void {
    const present = new Set<string>()
    for (const rows of this.lists.values()) for (const { digest } of rows) present.add(digest)
    for (const digest of this.shown.keys()) if (!present.has(digest)) this.shown.delete(digest)
  }
}
