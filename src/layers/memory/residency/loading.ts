/**
 * Loads: asked for, performed, over.
 *
 * @since 0.1.0
 */
import { Duration, Effect, Result } from "effect"
import type { Backend } from "../../../services/Fleet.ts"
import { isEmbedder, type Model } from "../../../services/ModelCatalog.ts"
import type { LoadRequest, ResidentModel } from "../../../services/Residency.ts"
import type { Allocation } from "../../../services/VramLedger.ts"
import type { Held, Holdings } from "./holdings.ts"
import type { Load } from "./loads.ts"
import type { Read } from "./reading.ts"
import type { ResidentModels } from "./residentModels.ts"

/** @category models @since 0.1.0 */
export interface Loading {
  /** Starts a load or joins one; `undefined` when there is nothing to load, or it failed lately. */
  readonly request: (held: Held, model: Model, options: LoadRequest) => Load | undefined
  readonly perform: (held: Held, load: Load, allocation: Allocation) => Effect.Effect<void>
  /** Whether it is there, in the way that is asked for: with this explicit context or a larger one, or with the automatic one. */
  readonly resident: (held: Held, model: Model, asked: LoadRequest) => boolean
}

/** Those that did not go by themselves meanwhile. */
const unexpired = (before: ReadonlyArray<ResidentModel>, now: number): ReadonlyArray<string> =>
  before.filter(({ expiresAt }) => expiresAt === undefined || now < expiresAt).map(({ model }) => model)

const there = (models: ResidentModels) => (key: string): boolean => models.entries.has(key)

/** @category constructors @since 0.1.0 */
export const make = (holdings: Holdings, read: Read): Loading => {
  const { api, backends, ended, keepAlive, ledger, limits, listeners, nextSeq, now, pumpAll, run } = holdings
  const { loadTimeout } = limits

  const resident: Loading["resident"] = (held, model, { contextMin, numCtx }) => {
    const entry = held.models.find(model)
    if (entry === undefined || entry.draining || !held.models.alive(entry, now())) return false
    const context = entry.tier ?? entry.row?.context_length ?? Infinity
    if (numCtx === undefined) return entry.tier === undefined && context >= (contextMin ?? 0)
    return context >= numCtx
  }

  const describe = Effect.fnUntraced(function* (load: Load, prepare: Effect.Effect<void>) {
    yield* Effect.exit(prepare)
    load.ready = true
    pumpAll()
  })

  const call = (backend: Backend, { model, numCtx }: Load) =>
    api.load(backend, model.key, { embedder: isEmbedder(model), keepAlive: keepAlive(backend), numCtx }).pipe(
      Effect.mapError(({ reason }) => ({
        description: reason.description,
        status: reason._tag === "Rejected" ? reason.status : undefined,
      })),
      // Whatever happens, the load ends: one that never did would block its backend for ever.
      Effect.catchDefect((defect) => Effect.fail({ description: String(defect), status: undefined })),
      Effect.timeoutOrElse({
        duration: loadTimeout,
        orElse: () => {
          const description = `not loaded within ${Duration.format(loadTimeout)}`
          return Effect.fail({ description, status: undefined })
        },
      }),
      Effect.result,
    )

  const perform: Loading["perform"] = Effect.fnUntraced(function* (held, load, allocation) {
    // A fiber starts in the stack of who forks it: yield, so that a load never begins inside a commit.
    yield* Effect.yieldNow
    const { loads, models } = held
    const { backend } = loads
    const { model, numCtx } = load
    // An alias of it may have been loaded while this one was queued.
    if (resident(held, model, load)) {
      loads.ended(now())
      allocation.move("gone")
      return ended(held, load, 0, undefined)
    }
    const managed = ledger.managed(backend)
    const begun = now()
    const before = managed ? [] : models.list(begun).filter(({ state }) => state === "resident")
    const result = yield* call(backend, load)
    const millis = now() - begun
    const present = backends.get(backend.id) === held
    if (Result.isFailure(result)) {
      loads.ended(now())
      // The backend may still be giving back what the load had taken.
      allocation.move("releasing")
      const { description, status } = result.failure
      ended(held, load, millis, loads.error(model.key, description, now(), status))
    } else {
      allocation.move(present ? "resident" : "releasing")
      if (present) models.assume(model, nextSeq(), now(), { allocation, tier: numCtx })
      loads.succeeded(model.key, millis)
      // Where memory is managed a load is only over when `/api/ps` shows it, and where others were pushed out when it shows that.
      if (present && (managed || held.rivals.of(model.key).size > 0)) yield* read(held)
      if (present && managed) yield* ledger.refresh
      loads.ended(now())
      const entry = models.find(model)
      const vanished = managed && present && backends.get(backend.id) === held && entry === undefined
      const error = vanished ? loads.error(model.key, "it was gone again after its load", now()) : undefined
      ended(held, load, millis, error, entry?.spilled)
    }
    if (!present || (managed && Result.isSuccess(result))) return
    const seq = nextSeq()
    yield* read(held)
    if (Result.isSuccess(result) && models.readSeq > seq) {
      held.rivals.learn(model.key, unexpired(before, now()), there(models))
    }
  })

  return {
    resident,
    perform,
    request: (held, model, options) => {
      const { loads } = held
      const joined = loads.find(model.key)
      if (joined !== undefined) {
        if (options.evicts ?? true) loads.promote(joined)
        return joined
      }
      if (resident(held, model, options) || loads.failure(model.key, now) !== undefined) return undefined
      const queued = loads.enqueue(model, options, now())
      const prepare = ledger.prepare(loads.backend, model)
      if (prepare !== undefined) {
        queued.ready = false
        run(describe(queued, prepare))
      }
      pumpAll()
      listeners.notify(undefined)
      return queued
    },
  }
}
