/**
 * What the others are told of what is in memory. Changes nothing.
 *
 * @since 0.1.0
 */
import type { Fleet } from "../../../services/Fleet.ts"
import type { Model } from "../../../services/ModelCatalog.ts"
import type { Residency, ResidentModel } from "../../../services/Residency.ts"
import type { Entry } from "./entry.ts"
import type { Held, Holdings } from "./holdings.ts"
import type { Loads } from "./loads.ts"

/** What a load costs before a byte is read, in milliseconds: starting the runner. */
const loadBaseMillis = 1500
/** Bytes a millisecond, about an NVMe disk: 2 GB/s. */
const loadBytesPerMilli = 2e6
/** Taken for a model whose size nobody has said. */
const unknownBytes = 8e9

/** Milliseconds that a load there takes: as learnt, else by its size. @category conversions @since 0.1.0 */
export const loadMillis = (loads: Loads | undefined, key: string, size: number | undefined): number =>
  loads?.learntMillis(key) ?? loadBaseMillis + (size || unknownBytes) / loadBytesPerMilli

const loading = (loads: Loads): ReadonlyArray<ResidentModel> =>
  (loads.running === undefined ? loads.queue : [loads.running, ...loads.queue]).map(({ model, numCtx }) => ({
    backend: loads.backend.id,
    model: model.key,
    state: "loading",
    size: undefined,
    sizeVram: undefined,
    contextLength: numCtx,
    expiresAt: undefined,
    source: "assumed",
  }))

/** The load under way will push it out: a new request would keep the load waiting, or have the backend load the model again at once. */
const yields = ({ loads, rivals }: Held, { key }: Entry): boolean =>
  loads.running !== undefined && rivals.of(loads.running.model.key).has(key)

/** @category models @since 0.1.0 */
export type View = Pick<
  Residency["Service"],
  | "state"
  | "list"
  | "serves"
  | "tier"
  | "context"
  | "keepAlive"
  | "usedAt"
  | "memory"
  | "spills"
  | "failure"
  | "loadMillis"
>

/** @category constructors @since 0.1.0 */
export const make = ({ backends, keepAlive, ledger, limits, now }: Holdings, fleet: Fleet["Service"]): View => {
  const entryOf = (backend: string, model: Model): Entry | undefined => {
    const models = backends.get(backend)?.models
    const entry = models?.find(model)
    return models !== undefined && entry !== undefined && models.alive(entry, now()) ? entry : undefined
  }

  return {
    state: (backend, model) => {
      const held = backends.get(backend)
      if (held === undefined) return "absent"
      if (held.loads.find(model.key) !== undefined) return "loading"
      const entry = entryOf(backend, model)
      if (entry === undefined) return "absent"
      return entry.draining || yields(held, entry) ? "draining" : "resident"
    },
    list: (backend) => {
      const held = backends.get(backend)
      if (held === undefined) return []
      const started = loading(held.loads)
      return [
        ...started,
        ...held.models.list(now()).filter(({ model }) => !started.some((load) => held.models.same(load.model, model))),
      ]
    },
    serves: (backend, model, numCtx) => {
      const entry = entryOf(backend, model)
      if (entry === undefined) return undefined
      if (entry.tier !== undefined) return numCtx !== undefined && entry.tier >= numCtx
      if (numCtx === undefined) return true
      return entry.row?.context_length === undefined ? undefined : entry.row.context_length >= numCtx
    },
    tier: (backend, model) => entryOf(backend, model)?.tier,
    context: (backend, model) => {
      const held = backends.get(backend)
      const entry = entryOf(backend, model)
      const shown = entry?.tier === undefined ? entry?.row?.context_length : undefined
      const member = fleet.members().find((each) => each.backend.id === backend)
      // What others have loaded may have any context: what the backend chose before is a better guess of what it would choose.
      return (entry?.ours === true ? shown : undefined) ?? held?.models.contexts.get(entry?.key ?? model.key) ??
        shown ??
        (member === undefined ? undefined : ledger.context(member.backend, model))
    },
    keepAlive: (backend) => {
      const member = backends.get(backend)?.loads.backend
      return member === undefined ? limits.keepAlive : keepAlive(member)
    },
    usedAt: (backend, model) => {
      const held = backends.get(backend)
      return held?.models.usage.get(held.models.find(model)?.key ?? model.key)?.lastAt
    },
    memory: (id, model) => {
      const backend = backends.get(id)?.loads.backend
      if (backend === undefined || !ledger.managed(backend)) return undefined
      return { needs: ledger.needs(backend, model), room: ledger.room(backend) ?? 0, limit: ledger.limit(backend) ?? 0 }
    },
    spills: (backend) =>
      Array.from(backends.get(backend)?.models.entries.values() ?? []).filter(({ spilled }) => spilled)
        .map(({ key, row }) => ({ backend, model: key, size: row?.size ?? 0, sizeVram: row?.size_vram ?? 0 })),
    failure: (backend, model) => backends.get(backend)?.loads.failure(model.key, now),
    loadMillis: (backend, model) =>
      loadMillis(backends.get(backend)?.loads, model.key, model.owners.get(backend)?.size),
  }
}
