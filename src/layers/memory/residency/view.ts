/**
 * What `Residency` says about the models in memory. Changes nothing.
 *
 * @since 0.1.0
 */
import type { Fleet } from "../../../services/Fleet.ts"
import type { Model } from "../../../services/ModelCatalog.ts"
import type { Residency, ResidentModel } from "../../../services/Residency.ts"
import { memberOf } from "../../../support/memberOf.ts"
import type { Held, Holdings } from "./holdings.ts"
import type { LoadedModel } from "./loadedModel.ts"
import type { LoadHistory } from "./loadHistory.ts"
import type { Loads } from "./loadQueue.ts"
import type { ResidentModels } from "./residentModels.ts"

/** Milliseconds that a load takes before a byte is read: the runner has to start. */
const loadBaseMillis = 1500
/** Bytes that a load reads in a millisecond: 2 GB/s. An assumption, until a load was measured. */
const loadBytesPerMilli = 2e6
/** Bytes assumed for a model of unknown size. */
const unknownBytes = 8e9

/**
 * Milliseconds that a load takes: as learnt from earlier loads, else by its size.
 *
 * @category conversions
 * @since 0.1.0
 */
export const loadMillis = (history: LoadHistory | undefined, key: string, size: number | undefined): number =>
  history?.learntMillis(key) ?? loadBaseMillis + (size || unknownBytes) / loadBytesPerMilli

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

/**
 * Whether the running load will push the model out. A new request for it would keep that load waiting, or make the
 * backend load the model again at once.
 */
const isPushedOut = ({ conflicts, loads }: Held, { key }: LoadedModel): boolean =>
  loads.running !== undefined && conflicts.of(loads.running.model.key).has(key)

/** Without a look at the clock where the model never expires: a decision asks this of every backend. */
const aliveIn = (
  models: ResidentModels | undefined,
  model: Model,
  now: () => number,
): LoadedModel | undefined => {
  const loaded = models?.find(model)
  if (models === undefined || loaded === undefined) return undefined
  return loaded.expiresAt === Infinity || models.alive(loaded, now()) ? loaded : undefined
}

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
  | "pinned"
  | "memory"
  | "spills"
  | "failure"
  | "loadMillis"
>

/** @category constructors @since 0.1.0 */
export const make = ({ backends, keepAlive, ledger, limits, now, pins }: Holdings, fleet: Fleet["Service"]): View => {
  const loadedOf = (backend: string, model: Model) => aliveIn(backends.get(backend)?.models, model, now)

  return {
    state: (backend, model) => {
      const held = backends.get(backend)
      if (held === undefined) return "absent"
      if (held.loads.find(model.key) !== undefined) return "loading"
      const loaded = aliveIn(held.models, model, now)
      if (loaded === undefined) return "absent"
      return loaded.draining || isPushedOut(held, loaded) ? "draining" : "resident"
    },
    list: (backend) => {
      const held = backends.get(backend)
      if (held === undefined) return []
      const loads = loading(held.loads)
      return [
        ...loads,
        ...held.models.list(now()).filter(({ model }) => !loads.some((load) => held.models.same(load.model, model))),
      ]
    },
    serves: (backend, model, numCtx) => {
      const loaded = loadedOf(backend, model)
      if (loaded === undefined) return undefined
      if (loaded.tier !== undefined) return numCtx !== undefined && loaded.tier >= numCtx
      if (numCtx === undefined) return true
      return loaded.row?.context_length === undefined ? undefined : loaded.row.context_length >= numCtx
    },
    tier: (backend, model) => loadedOf(backend, model)?.tier,
    context: (backend, model) => {
      const held = backends.get(backend)
      const loaded = loadedOf(backend, model)
      const shown = loaded?.tier === undefined ? loaded?.row?.context_length : undefined
      const member = memberOf(fleet.members(), backend)
      // A model that somebody else has loaded may have any context. The context that the backend chose before is a
      // better guess of what it would choose now.
      return (loaded?.ours === true ? shown : undefined) ?? held?.models.contexts.get(loaded?.key ?? model.key) ??
        shown ??
        (member === undefined ? undefined : ledger.context(member.backend, model))
    },
    keepAlive: (backend) => {
      const member = backends.get(backend)?.loads.backend
      return member === undefined ? limits.keepAlive : keepAlive(member)
    },
    usedAt: (backend, model, but) => {
      const held = backends.get(backend)
      const uses = held?.models.uses.get(held.models.find(model)?.key ?? model.key)
      return but === undefined ? uses?.lastAt : uses?.lastAtBut(but)
    },
    pinned: (backend, model) => {
      const held = backends.get(backend)
      return held !== undefined && pins.has(held.models, model.key)
    },
    memory: (id, model) => {
      const backend = backends.get(id)?.loads.backend
      if (backend === undefined || !ledger.managed(backend)) return undefined
      return { needs: ledger.needs(backend, model), room: ledger.room(backend) ?? 0, limit: ledger.limit(backend) ?? 0 }
    },
    spills: (backend) =>
      Array.from(backends.get(backend)?.models.loaded.values() ?? []).filter(({ spilled }) => spilled)
        .map(({ key, row }) => ({ backend, model: key, size: row?.size ?? 0, sizeVram: row?.size_vram ?? 0 })),
    failure: (backend, model) => backends.get(backend)?.history.failure(model.key, now()),
    loadMillis: (backend, model) =>
      loadMillis(backends.get(backend)?.history, model.key, model.owners.get(backend)?.size),
  }
}
