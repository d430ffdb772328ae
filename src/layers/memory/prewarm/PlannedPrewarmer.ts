/**
 * Has in memory what plans want.
 *
 * @since 0.1.0
 */
import { Clock, Duration, Effect, Layer } from "effect"
import { BackendHealth } from "../../../services/BackendHealth.ts"
import { type Backend, Fleet } from "../../../services/Fleet.ts"
import { needsResident } from "../../../services/Host.ts"
import { type Model, ModelCatalog } from "../../../services/ModelCatalog.ts"
import type { Plan, PrewarmTarget } from "../../../services/Plugin.ts"
import { Prewarmer, type PrewarmStatus } from "../../../services/Prewarmer.ts"
import { type Pin, Residency } from "../../../services/Residency.ts"
import { VramLedger } from "../../../services/VramLedger.ts"
import { every } from "../../../support/every.ts"

/** @category models @since 0.1.0 */
export interface Options<R = never> {
  /** The ones named first are served first. */
  readonly plans: ReadonlyArray<Plan<R>>
  /** Between two looks at the plans. Defaults to 1 second. */
  readonly interval?: Duration.Input | undefined
}

/** What a plan was given. */
interface Given {
  readonly target: PrewarmTarget
  readonly backend: Backend
  readonly model: Model
  pin: Pin | undefined
}

const make = <R>(options: Options<R>) =>
  Effect.gen(function* () {
    yield* needsResident(
      "PlannedPrewarmer",
      "NoPrewarmer, and a resident router or a timer of the host for what has to be warm",
    )
    const fleet = yield* Fleet
    const health = yield* BackendHealth
    const catalog = yield* ModelCatalog
    const residency = yield* Residency
    const ledger = yield* VramLedger
    const clock = yield* Clock.Clock
    const context = yield* Effect.context<R>()
    const interval = Duration.fromInputUnsafe(options.interval ?? "1 second")
    const given = new Map<string, Given>()
    /** Targets that were to be loaded once, and have been. */
    const done = new Set<string>()
    let statuses: ReadonlyArray<PrewarmStatus & { readonly gates: boolean }> = []
    let looked = false

    /** Those that hold the model already, then the one with the most free memory, then the one with the fewest models. */
    const places = (model: Model, { backends, replicas }: PrewarmTarget): ReadonlyArray<Backend> => {
      const owners = fleet.members().flatMap(({ backend, state }) =>
        state === "active" && model.owners.has(backend.id) && health.status(backend.id).state !== "unhealthy" &&
          backends?.includes(backend.id) !== false
          ? [backend]
          : []
      )
      if (backends !== undefined) return owners
      const there = (backend: Backend) => residency.state(backend.id, model) === "absent" ? 0 : 1
      const failed = (backend: Backend) => residency.failure(backend.id, model) === undefined ? 0 : 1
      return owners.toSorted((a, b) =>
        there(b) - there(a) || failed(a) - failed(b) || (ledger.room(b) ?? 0) - (ledger.room(a) ?? 0) ||
        residency.list(a.id).length - residency.list(b.id).length
      ).slice(0, replicas ?? 1)
    }

    /** Free memory may be given away, unless the target may evict; and one load at a time, so that nobody real waits for two. */
    const worth = (backend: Backend, model: Model, target: PrewarmTarget): string => {
      if (residency.list(backend.id).some(({ state }) => state === "loading")) return "another load is under way"
      const needs = ledger.needs(backend, model)
      const room = ledger.room(backend)
      return target.evicts === true || needs === undefined || room === undefined || needs <= room
        ? ""
        : "no free memory"
    }

    const warm = (plan: string, model: Model, target: PrewarmTarget, backend: Backend): PrewarmStatus => {
      const status = (state: PrewarmStatus["state"], reason = ""): PrewarmStatus => ({
        plan,
        model: model.key,
        backend: backend.id,
        state,
        reason,
      })
      const state = residency.state(backend.id, model)
      if (state === "resident") {
        // A model of which half runs on the CPU is not there.
        const spilled = residency.spills(backend.id).some((spill) => spill.model === model.key)
        return spilled ? status("failed", "layers spilled to the CPU") : status("resident")
      }
      if (state === "loading") return status("loading")
      const failure = residency.failure(backend.id, model)
      if (failure !== undefined) return status("failed", failure.description)
      const why = worth(backend, model, target)
      if (why !== "") return status("pending", why)
      residency.request(backend, model, { evicts: target.evicts ?? false })
      return status("loading")
    }

    const serve = Effect.fnUntraced(function* (plan: string, target: PrewarmTarget, wanted: Map<string, Given>) {
      const found = yield* Effect.result(catalog.find(target.model))
      const none = (reason: string): ReadonlyArray<PrewarmStatus> => [
        { plan, model: target.model, backend: undefined, state: "failed", reason },
      ]
      if (found._tag === "Failure") return none("no backend has it")
      const model = found.success
      const once = `${plan} ${model.key}`
      if (model.remote || done.has(once)) {
        return [{ plan, model: model.key, backend: undefined, state: "resident" as const, reason: "" }]
      }
      const backends = places(model, target)
      if (backends.length === 0) return none("no backend that has it is there")
      const all = backends.map((backend) => {
        wanted.set(`${plan} ${model.key} ${backend.id}`, { target, backend, model, pin: undefined })
        return warm(plan, model, target, backend)
      })
      if (target.once === true && all.every(({ state }) => state === "resident")) done.add(once)
      return all
    })

    /** Pins what is wanted, and lets go of what no longer is. */
    const settle = (wanted: ReadonlyMap<string, Given>): void => {
      for (const [id, one] of wanted) {
        if (given.has(id)) continue
        given.set(id, {
          ...one,
          pin: one.target.pinned === true ? residency.pin(one.backend.id, one.model) : undefined,
        })
      }
      for (const [id, one] of given) {
        if (wanted.has(id)) continue
        one.pin?.release()
        given.delete(id)
        const elsewhere = Array.from(given.values()).some((other) =>
          other.model === one.model && other.backend.id === one.backend.id
        )
        if (one.target.released === true && !elsewhere) residency.unload(one.backend, one.model)
      }
    }

    const look = Effect.gen(function* () {
      const now = clock.currentTimeMillisUnsafe()
      const wanted = new Map<string, Given>()
      const next: Array<PrewarmStatus & { readonly gates: boolean }> = []
      for (const plan of options.plans) {
        const targets = yield* Effect.provideContext(plan.targets(now), context)
        for (const target of targets) {
          for (const status of yield* serve(plan.name, target, wanted)) {
            next.push({ ...status, gates: target.gates === true })
          }
        }
      }
      settle(wanted)
      statuses = next
      looked = true
    })
    yield* Effect.forkScoped(every(interval, look))
    yield* Effect.addFinalizer(() => Effect.sync(() => given.forEach(({ pin }) => pin?.release())))

    return Prewarmer.of({
      status: () => statuses,
      ready: () => looked && statuses.every(({ gates, state }) => !gates || state === "resident"),
    })
  })

/**
 * Looks at the plans on a schedule and loads what is missing, one load at a time on each backend, behind everything that requests wait for.
 *
 * **Details**
 *
 * - Into free memory only, unless the target may evict. A load for which the free memory has gone meanwhile is dropped.
 * - A model counts as there when `/api/ps` shows it, all of it on GPUs.
 * - Without `backends`, those that hold the model come first, then those with the most free memory.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = <R = never>(
  options: Options<R>,
): Layer.Layer<Prewarmer, never, Fleet | BackendHealth | ModelCatalog | Residency | VramLedger | NoInfer<R>> =>
  Layer.effect(Prewarmer, make(options))
