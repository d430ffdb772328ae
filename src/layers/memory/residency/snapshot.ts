/**
 * Collects the plain state on which the decision is made. Changes nothing.
 *
 * @since 0.1.0
 */
import { Duration, Result } from "effect"
import type { LoadRequest } from "../../../services/Residency.ts"
import type { QueuedLoad, State } from "./decision.ts"
import type { Held, Holdings } from "./holdings.ts"
import type { LoadedModel } from "./loadedModel.ts"
import type { Load } from "./loadQueue.ts"
import type { Charged, ModelInMemory, ResidentCandidate } from "./makeRoom.ts"
import type { Model } from "../../../services/ModelCatalog.ts"
import { loadMillis } from "./view.ts"

/** What the snapshots need of the residency. @category models @since 0.1.0 */
export type Sources = Pick<Holdings, "backends" | "contained" | "ledger" | "limits" | "now" | "pins">

/**
 * Whether a model is resident in the way that is asked for: with this explicit context or a larger one, or with the
 * automatic one.
 *
 * @category predicates
 * @since 0.1.0
 */
export const isResident = (
  { models }: Held,
  model: Model,
  { contextMin, numCtx }: LoadRequest,
  now: number,
): boolean => {
  const loaded = models.find(model)
  if (loaded === undefined || loaded.draining || !models.alive(loaded, now)) return false
  const context = loaded.tier ?? loaded.row?.context_length ?? Infinity
  if (numCtx === undefined) return loaded.tier === undefined && context >= (contextMin ?? 0)
  return context >= numCtx
}

const loadOf = ({ loads, models }: Held, key: string): ModelInMemory["load"] => {
  if (loads.running !== undefined && models.same(loads.running.model.key, key)) return "running"
  return loads.queue.some(({ model }) => models.same(model.key, key)) ? "queued" : "none"
}

const inMemory = ({ now, pins }: Sources, held: Held, loaded: LoadedModel): ModelInMemory => ({
  draining: loaded.draining,
  idle: held.models.idle(loaded),
  pinned: pins.has(held.models, loaded.key),
  load: loadOf(held, loaded.key),
  restedMillis: held.models.restedMillis(loaded, now()),
})

/**
 * Where nothing can be found out about a model, it counts as pinned: it is not unloaded, and if it is draining the
 * drain ends.
 */
const unknown = (loaded: LoadedModel): ModelInMemory => ({
  draining: loaded.draining,
  idle: true,
  pinned: true,
  load: "none",
  restedMillis: 0,
})

const conflictsOf = ({ conflicts, models }: Held, key: string, now: number): ReadonlyArray<string> =>
  Array.from(conflicts.of(key)).filter((each) => {
    const loaded = models.loaded.get(each)
    return loaded !== undefined && models.alive(loaded, now)
  })

const queued = (held: Held, load: Load, tried: ReadonlySet<string>, now: number): QueuedLoad => {
  const { evicts, model, ready, since } = load
  const waiting = {
    model: model.key,
    evicts,
    ready,
    tried: tried.has(model.key),
    waitedMillis: now - since,
    millisWithoutRoom: held.loads.millisWithoutRoom(load, now),
  }
  const facts = Result.try(() => ({
    resident: isResident(held, model, load, now),
    copy: held.models.find(model)?.key,
    conflicts: conflictsOf(held, model.key, now),
  }))
  return Result.isSuccess(facts)
    ? { ...waiting, ...facts.success, defect: undefined }
    : { ...waiting, resident: false, copy: undefined, conflicts: [], defect: String(facts.failure) }
}

/**
 * The state of one backend. `tried` names the loads that the ledger has refused already.
 *
 * @category constructors
 * @since 0.1.0
 */
export const stateOf = (sources: Sources, held: Held, tried: ReadonlySet<string>): State => {
  const { contained, ledger, limits, now } = sources
  const at = now()
  const managed = contained("VramLedger.managed", () => ledger.managed(held.loads.backend), undefined)
  return {
    managed: managed ?? true,
    // While it is not known whether memory is managed, no load starts.
    read: held.read && managed !== undefined,
    running: held.loads.running !== undefined,
    queue: held.loads.queue.map((load) => queued(held, load, tried, at)),
    models: new Map(
      Array.from(held.models.loaded.values(), (loaded) => [
        loaded.key,
        contained(`looking at ${loaded.key}`, () => inMemory(sources, held, loaded), unknown(loaded)),
      ]),
    ),
    rules: { ...limits, loadTimeoutMillis: Duration.toMillis(limits.loadTimeout) },
    now: at,
  }
}

const candidateOf = (sources: Sources, held: Held, loaded: LoadedModel): ResidentCandidate => {
  const { history, models } = held
  const { allocation, expiresAt, key, loadedAt, row } = loaded
  const now = sources.now()
  const uses = models.uses.get(key)
  return {
    ...inMemory(sources, held, loaded),
    shares: allocation?.shares() ?? [],
    victim: {
      backend: models.backend,
      model: key,
      loadMillis: loadMillis(history, key, row?.size),
      lastUsedAt: uses?.lastAt ?? loadedAt,
      loadedAt,
      rate: uses?.perMilli(now) ?? 0,
      keepAliveMillis: expiresAt === undefined ? undefined : expiresAt - now,
      blob: models.blobOf(key),
    },
  }
}

/**
 * The models in memory on all backends: a device may be shared. A model about which nothing can be found out is left
 * out.
 *
 * @category constructors
 * @since 0.1.0
 */
export const candidatesOf = (sources: Sources): ReadonlyArray<ResidentCandidate> =>
  Array.from(sources.backends.values()).flatMap((held) =>
    Array.from(held.models.loaded.values()).flatMap((loaded) =>
      sources.contained(
        `looking at ${loaded.key}`,
        (): ReadonlyArray<ResidentCandidate> => [candidateOf(sources, held, loaded)],
        [],
      )
    )
  )

/** The allocations of the ledger as plain data. @category constructors @since 0.1.0 */
export const chargedOf = ({ ledger }: Sources): ReadonlyArray<Charged> =>
  ledger.allocations().map((one) => ({ state: one.state(), shares: one.shares() }))
