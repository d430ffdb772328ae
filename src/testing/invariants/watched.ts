/**
 * Layers that are watched: each function takes a layer and gives one that does the same, and tells a `Watch` what it
 * does.
 *
 * @since 0.1.0
 */
import { Clock, Effect, Layer } from "effect"
import { Admission } from "../../services/Admission.ts"
import { Breaker } from "../../services/Breaker.ts"
import { isLease, Leases } from "../../services/Leases.ts"
import { OllamaApi } from "../../services/OllamaApi.ts"
import { type Pin, Residency } from "../../services/Residency.ts"
import { VramLedger } from "../../services/VramLedger.ts"
import type { ModelOnBackend, QueuePlace } from "./observations.ts"
import type { Watch } from "./watch.ts"

export { transport } from "./watchedTransport.ts"

/** Tells the loads and unloads that backends are asked for. @category layers @since 0.1.0 */
export const api = (watch: Watch) => <E, R>(inner: Layer.Layer<OllamaApi, E, R>): Layer.Layer<OllamaApi, E, R> =>
  Layer.effect(
    OllamaApi,
    Effect.map(OllamaApi, (made) => ({
      ...made,
      load: (backend, model, options) =>
        Effect.suspend(() => {
          const load = { backend: backend.id, model, devices: backend.devices }
          watch.tell("loading", load)
          return Effect.ensuring(made.load(backend, model, options), Effect.sync(() => watch.tell("loaded", load)))
        }),
      unload: (backend, model, options) =>
        Effect.suspend(() => {
          watch.tell("unloading", { backend: backend.id, model })
          return made.unload(backend, model, options)
        }),
    })),
  ).pipe(Layer.provide(inner))

/** Tells permits, the outcomes recorded on them, and transitions. @category layers @since 0.1.0 */
export const breaker = (watch: Watch) => <E, R>(inner: Layer.Layer<Breaker, E, R>): Layer.Layer<Breaker, E, R> =>
  Layer.effect(
    Breaker,
    Effect.map(Breaker, (made) => {
      made.onTransition((transition) => watch.tell("moved", transition))
      return {
        ...made,
        acquire: (backend, model) => {
          const whole = made.state(backend)
          const worse = made.state(backend, model)
          const permit = made.acquire(backend, model)
          watch.tell("permit", { backend, model, permit, whole, worse })
          if (permit === undefined) return undefined
          return {
            trial: permit.trial,
            record: (outcome) => {
              watch.tell("recorded", { backend, model, permit, outcome })
              permit.record(outcome)
            },
          }
        },
      }
    }),
  ).pipe(Layer.provide(inner))

/** Tells leases from commit to release. @category layers @since 0.1.0 */
export const leases = (watch: Watch) => <E, R>(inner: Layer.Layer<Leases, E, R>): Layer.Layer<Leases, E, R> =>
  Layer.effect(
    Leases,
    Effect.map(Leases, (made) => {
      // A release may cause others. The count of `Leases` is right when all of them have returned.
      let depth = 0
      return {
        ...made,
        commit: (ranked, demand) => {
          const commit = made.commit(ranked, demand)
          if (!isLease(commit)) return commit
          const lease: ModelOnBackend = { backend: commit.backend.id, model: demand.model.key }
          watch.tell("leased", { lease, uses: demand.loads })
          return {
            ...commit,
            release: (outcome) => {
              // Told before the release: the slot that it frees may be taken before it returns.
              watch.tell("released", { lease, outcome })
              depth++
              commit.release(outcome)
              if (--depth === 0) watch.tell("counted", made.count())
            },
          }
        },
      }
    }),
  ).pipe(Layer.provide(inner))

/** Tells what is allocated after each reservation, and refusals. @category layers @since 0.1.0 */
export const ledger = (watch: Watch) => <E, R>(inner: Layer.Layer<VramLedger, E, R>): Layer.Layer<VramLedger, E, R> =>
  Layer.effect(
    VramLedger,
    Effect.map(VramLedger, (made) => ({
      ...made,
      reserve: (backend, model, numCtx) => {
        const answer = made.reserve(backend, model, numCtx)
        if ("_tag" in answer) {
          const full = answer.never || answer.freeing.length > 0
          watch.tell("noRoom", { backend: backend.id, model: model.key, full })
        } else {
          const mine = new Set(answer.shares().map(({ device }) => device))
          const devices = made.devices().filter(({ device }) => mine.has(device))
          watch.tell("reserved", { allocations: made.allocations(), devices })
        }
        return answer
      },
    })),
  ).pipe(Layer.provide(inner))

/** Tells which loads are asked for, and pins. @category layers @since 0.1.0 */
export const residency = (watch: Watch) => <E, R>(inner: Layer.Layer<Residency, E, R>): Layer.Layer<Residency, E, R> =>
  Layer.effect(
    Residency,
    Effect.map(Residency, (made) => ({
      ...made,
      request: (backend, model, options) => {
        watch.tell("wanted", { backend: backend.id, model: model.key, devices: backend.devices })
        made.request(backend, model, options)
      },
      load: (backend, model, options) =>
        Effect.suspend(() => {
          watch.tell("wanted", { backend: backend.id, model: model.key, devices: backend.devices })
          return made.load(backend, model, options)
        }),
      pin: (backend, model): Pin => {
        const where = { backend, model: model.key }
        const pin = made.pin(backend, model)
        watch.tell("pinned", where)
        let released = false
        return {
          release: () => {
            pin.release()
            if (released) return
            released = true
            watch.tell("unpinned", where)
          },
        }
      },
    })),
  ).pipe(Layer.provide(inner))

/** Tells which requests wait, which get a lease, and which may be passed. @category layers @since 0.1.0 */
export const admission = (watch: Watch) => <E, R>(inner: Layer.Layer<Admission, E, R>): Layer.Layer<Admission, E, R> =>
  Layer.effect(
    Admission,
    Effect.map(Effect.all([Admission, Clock.Clock]), ([made, clock]) => ({
      ...made,
      admit: (demand, commit, use) =>
        Effect.suspend(() => {
          const { excluded, id, kind, loads, model: { key: model }, numCtx, priority, tenant } = demand
          const place: QueuePlace = {
            id,
            model,
            tenant,
            priority,
            again: excluded.length > 0,
            wants: `${kind} ${loads} ${numCtx}`,
          }
          watch.tell("waiting", { place, at: demand.since })
          const granting = (waiting: number) => {
            const committed = commit(waiting)
            const at = clock.currentTimeMillisUnsafe()
            if (isLease(committed)) watch.tell("granted", { place, at, raised: demand.priority !== priority })
            else if (committed === "loading") watch.tell("passedBy", { place, at })
            return committed
          }
          return Effect.ensuring(made.admit(demand, granting, use), Effect.sync(() => watch.tell("gone", place)))
        }),
    })),
  ).pipe(Layer.provide(inner))
