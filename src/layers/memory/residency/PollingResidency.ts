/**
 * Residency from `/api/ps` and from the router's own loads and unloads.
 *
 * @since 0.1.0
 */
import { Deferred, Duration, Effect, Layer, Schedule } from "effect"
import { type Backend, Fleet } from "../../../services/Fleet.ts"
import type { Model, ModelCatalog } from "../../../services/ModelCatalog.ts"
import type { OllamaApi } from "../../../services/OllamaApi.ts"
import type { VictimPicker } from "../../../services/Plugin.ts"
import { type Pin, Residency } from "../../../services/Residency.ts"
import type { VramLedger } from "../../../services/VramLedger.ts"
import { watch } from "../../../support/every.ts"
import { perBackend } from "../../../support/perBackend.ts"
import * as Holdings from "./holdings.ts"
import * as Loading from "./loading.ts"
import { Loads } from "./loads.ts"
import { makeRead, memoryOf } from "./reading.ts"
import { ResidentModels } from "./residentModels.ts"
import { Rivals } from "./rivals.ts"
import * as Unloading from "./unloading.ts"
import * as View from "./view.ts"

/**
 * How residency is read and changed.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** Between the starts of two readings of one backend. Defaults to 5 seconds. */
  readonly interval?: Duration.Input | undefined
  /** For one reading. Defaults to 5 seconds. */
  readonly timeout?: Duration.Input | undefined
  /** For one load; also the longest a load waits for room. Defaults to 300 seconds. */
  readonly loadTimeout?: Duration.Input | undefined
  /**
   * Sent with each load where memory is not managed: seconds, negative for "for ever". The backend's own default when absent. Where memory is managed
   * models stay until the router unloads them.
   */
  readonly keepAlive?: number | undefined
  /** Who is unloaded to make room. Defaults to nobody. */
  readonly victims?: VictimPicker | undefined
  /** A model used or waited for less long ago is not unloaded, unless a load has waited for `patience`. Defaults to 1 second. */
  readonly idle?: Duration.Input | undefined
  /** After so long a wait, what is busy is drained for a load, and no other load passes it while that goes. Defaults to 10 seconds. */
  readonly patience?: Duration.Input | undefined
}

/** How often loads that wait for room are looked at, besides whenever something changes. */
const lookMillis = 500

const millisOf = (input: Duration.Input): number => Duration.toMillis(Duration.fromInputUnsafe(input))

const nobody: VictimPicker = { kind: "victim-picker", name: "none", pick: () => [] }
const nothing: Pin = { release: () => {} }

const make = Effect.fnUntraced(function* (options: Options | undefined) {
  const interval = Duration.fromInputUnsafe(options?.interval ?? "5 seconds")
  const fleet = yield* Fleet
  const holdings = yield* Holdings.make({
    timeout: Duration.fromInputUnsafe(options?.timeout ?? "5 seconds"),
    loadTimeout: Duration.fromInputUnsafe(options?.loadTimeout ?? "300 seconds"),
    keepAlive: options?.keepAlive,
    picker: options?.victims ?? nobody,
    idleMillis: millisOf(options?.idle ?? "1 second"),
    patienceMillis: millisOf(options?.patience ?? "10 seconds"),
  })
  const { backends, catalog, ended, ledger, limits, listeners, nextSeq, now, pins, pumpAll, run } = holdings
  const read = makeRead(holdings)
  const unloading = Unloading.make(holdings, read)
  const loading = Loading.make(holdings, read)

  const add = (backend: Backend): Holdings.Held => {
    const models = new ResidentModels(backend.id, catalog, memoryOf(holdings, backend))
    const loads = new Loads(backend, ledger, Duration.toMillis(limits.loadTimeout), {
      start: (load, allocation) => run(loading.perform(held, load, allocation)),
      blocked: (load) => unloading.blocked(held, load),
      there: (load) => loading.resident(held, load.model, load),
      over: (load) => ended(held, load, 0, undefined),
      noRoom: unloading.noRoom,
      same: (one, other) => models.same(one, other),
      drop: (load) => {
        loads.finish(load, loads.error(load.model.key, "no free memory", now()))
        run(Effect.sync(() => listeners.notify(undefined)))
      },
      fail: (load, description) =>
        ended(held, load, now() - load.since, loads.error(load.model.key, description, now(), 500)),
    })
    const held: Holdings.Held = { models, loads, rivals: new Rivals(), read: false }
    backends.set(backend.id, held)
    return held
  }
  const heldOf = (backend: Backend): Holdings.Held => backends.get(backend.id) ?? add(backend)

  const remove = (id: string): void => {
    const held = backends.get(id)
    if (held === undefined) return
    backends.delete(id)
    held.models.forget(undefined, nextSeq())
    for (const load of held.loads.queue.splice(0)) {
      held.loads.finish(load, held.loads.error(load.model.key, "the backend left the fleet", now()))
    }
    listeners.notify(undefined)
  }

  yield* Effect.acquireRelease(Effect.sync(() => ledger.onChange(pumpAll)), (stop) => Effect.sync(stop))
  const readBackend = (backend: Backend) => Effect.suspend(() => read(heldOf(backend)))
  yield* perBackend(fleet, (backend) => watch(interval, readBackend(backend)), remove)
  const look = Effect.sync(() => {
    for (const { loads } of backends.values()) if (loads.queue.length > 0) return pumpAll()
  })
  yield* Effect.forkScoped(Effect.repeat(look, Schedule.spaced(lookMillis)))

  const touched = (held: Holdings.Held, model: Model): void => {
    if (held.models.assume(model, nextSeq(), now())) listeners.notify(undefined)
  }

  return Residency.of({
    ...View.make(holdings, fleet),
    request: (backend, model, options) => {
      if (!model.remote) loading.request(heldOf(backend), model, options ?? {})
    },
    load: Effect.fn("Residency.load")(function* (backend, model, options) {
      if (model.remote) return
      const started = loading.request(heldOf(backend), model, options ?? {})
      if (started !== undefined) return yield* Deferred.await(started.end)
      const failure = backends.get(backend.id)?.loads.failure(model.key, now)
      if (failure !== undefined) return yield* failure
    }),
    unload: (backend, model) => {
      const held = backends.get(backend.id)
      return held !== undefined && unloading.unload(held, model)
    },
    hold: (backend, model) => {
      const held = backends.get(backend)
      if (held === undefined) return nothing
      touched(held, model)
      const entry = held.models.find(model)
      if (entry === undefined) return nothing
      entry.refs++
      return {
        release: () => {
          held.models.release(entry)
          unloading.rested(held, entry)
        },
      }
    },
    pin: (backend, model) => pins.add(backend, model.key),
    touch: (backend, model) => {
      const held = backends.get(backend)
      if (held === undefined) return
      held.models.used(held.models.find(model)?.key ?? model.key, now())
      touched(held, model)
    },
    want: (backend, model) => {
      const entry = backends.get(backend)?.models.find(model)
      if (entry !== undefined) entry.wantedAt = now()
    },
    forget: (backend, model) => {
      const held = backends.get(backend)
      if (held === undefined) return
      if (held.models.forget(model, nextSeq())) listeners.notify(undefined)
      pumpAll()
    },
    refresh: Effect.suspend(() =>
      Effect.forEach(fleet.members(), ({ backend }) => readBackend(backend), {
        concurrency: "unbounded",
        discard: true,
      })
    ),
    onChange: listeners.add,
    onSpill: holdings.spillListeners.add,
  })
})

/**
 * Reads `/api/ps` of every backend on a schedule, and owns the loads and unloads.
 *
 * **Details**
 *
 * - What the router did itself (a load that ended, a request that used a model) is believed until a reading that *began* after it shows otherwise.
 * - A model whose keep-alive has run out since the last reading is absent, unless it was used since. One that Ollama lists although its keep-alive has
 *   run out is busy, so resident.
 * - Names are compared in canonical form, and by the digest of the manifest or of the weights where two names share them.
 * - Loads of one backend are serial, wait where `VramLedger` has no room, and belong to this layer's scope: a client that leaves does not end one.
 * - Where memory is managed, loads keep their model for ever, end only when `/api/ps` shows it, and may have idle models unloaded by the victim picker.
 *   One that has waited for `patience` has busy ones drained: they get no new requests, and are unloaded when their last one has ended.
 * - Where it is not, of two models that a load has shown not to fit together one is not loaded while the other is in use, unless its load has waited for
 *   `patience`; then the other gets no new requests while the load runs.
 * - What others load is adopted, what others unload is noticed. A model whose layers spilled to the CPU is reported, never taken for a success.
 * - A failed load is not repeated for a cool-down of 1 s, doubling to 30 s.
 * - A load is expected to take what loads of the model there took before, else 1.5 s and its size on disk at 2 GB/s.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (
  options?: Options,
): Layer.Layer<Residency, never, Fleet | OllamaApi | VramLedger | ModelCatalog> =>
  Layer.effect(Residency, make(options))
