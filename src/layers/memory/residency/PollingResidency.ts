/**
 * Residency from `/api/ps` and from the router's own loads and unloads.
 *
 * @since 0.1.0
 */
import { Deferred, Duration, Effect, Layer, type Scope, Stream } from "effect"
import { type Backend, Fleet } from "../../../services/Fleet.ts"
import type { ModelCatalog } from "../../../services/ModelCatalog.ts"
import type { OllamaApi } from "../../../services/OllamaApi.ts"
import type { VictimPicker } from "../../../services/Plugin.ts"
import { Residency } from "../../../services/Residency.ts"
import type { VramLedger } from "../../../services/VramLedger.ts"
import { every, watch } from "../../../support/every.ts"
import { perBackend } from "../../../support/perBackend.ts"
import * as Holdings from "./holdings.ts"
import { makePerformLoad } from "./performLoad.ts"
import { LoadLoop } from "./loadLoop.ts"
import * as Membership from "./membership.ts"
import { makeRead, type Read } from "./reading.ts"
import { makeRequest } from "./loadRequests.ts"
import { makePerformUnload } from "./performUnload.ts"
import * as Uses from "./uses.ts"
import * as View from "./view.ts"

/**
 * How residency is read and changed.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** Time between the starts of two readings of one backend. Defaults to 5 seconds. */
  readonly interval?: Duration.Input | undefined
  /** Longest time for one reading. Defaults to 5 seconds. */
  readonly timeout?: Duration.Input | undefined
  /** Longest time for one load, and longest time that a load waits for room. Defaults to 300 seconds. */
  readonly loadTimeout?: Duration.Input | undefined
  /**
   * Sent with each load where memory is not managed: seconds, negative for "for ever". Absent: the backend's own
   * default. Where memory is managed, models stay until the router unloads them.
   */
  readonly keepAlive?: number | undefined
  /** Picks the models that are unloaded to make room. Defaults to none: no model is unloaded to make room. */
  readonly victims?: VictimPicker | undefined
  /**
   * A model that was used or waited for less long ago is not unloaded, unless a load has waited for `patience`.
   * Defaults to 1 second.
   */
  readonly idle?: Duration.Input | undefined
  /**
   * A load that has waited this long may have busy models drained. No other load passes it while their memory is made
   * free. Defaults to 10 seconds.
   */
  readonly patience?: Duration.Input | undefined
}

/** Milliseconds between two looks at the loads that wait for room. Every change makes the router look, too. */
const lookMillis = 500

const millisOf = (input: Duration.Input): number => Duration.toMillis(Duration.fromInputUnsafe(input))

const noVictims: VictimPicker = { kind: "victim-picker", name: "none", pick: () => [] }

const limitsOf = (options: Options | undefined): Holdings.Limits => ({
  timeout: Duration.fromInputUnsafe(options?.timeout ?? "5 seconds"),
  loadTimeout: Duration.fromInputUnsafe(options?.loadTimeout ?? "300 seconds"),
  keepAlive: options?.keepAlive,
  picker: options?.victims ?? noVictims,
  idleMillis: millisOf(options?.idle ?? "1 second"),
  patienceMillis: millisOf(options?.patience ?? "10 seconds"),
})

/** The loop, and the work that it starts at backends. The work reports its end to the loop as an event. */
const makeLoop = (holdings: Holdings.Holdings): { readonly loop: LoadLoop; readonly read: Read } => {
  const loop = new LoadLoop(holdings, (work) => {
    if (work._tag === "Load") holdings.run(load(work.held, work.load, work.allocation))
    else if (work._tag === "Drain") holdings.run(unloads.drain(work.held, work.loaded))
    else holdings.run(unloads.unload(work.held, work.loaded))
  })
  const read = makeRead(holdings, loop)
  const load = makePerformLoad(holdings, read, loop)
  const unloads = makePerformUnload(holdings, read, loop)
  return { loop, read }
}

/** The background work: readings of every backend, and looks at the loads that wait. */
const follow = Effect.fnUntraced(function* (
  { ledger, run }: Holdings.Holdings,
  fleet: Fleet["Service"],
  loop: LoadLoop,
  readBackend: (backend: Backend) => Effect.Effect<void>,
  { changed, remove }: Membership.Membership,
  interval: Duration.Duration,
): Effect.fn.Return<void, never, Scope.Scope> {
  yield* Effect.acquireRelease(Effect.sync(() => ledger.onChange(() => loop.look())), (stop) => Effect.sync(stop))
  yield* perBackend(fleet, (_backend, latest) => watch(interval, Effect.suspend(() => readBackend(latest()))), remove)
  yield* Effect.forkScoped(
    Stream.runForEach(fleet.changes, (members) =>
      Effect.sync(() => {
        for (const backend of changed(members)) run(readBackend(backend))
      })),
  )
  yield* Effect.forkScoped(every(Duration.millis(lookMillis), Effect.sync(() => loop.look())))
})

const make = Effect.fnUntraced(function* (options: Options | undefined) {
  const fleet = yield* Fleet
  const holdings = yield* Holdings.make(limitsOf(options))
  const { backends, listeners, now, pins, spillListeners } = holdings
  const { loop, read } = makeLoop(holdings)
  const membership = Membership.make(holdings, loop, fleet.members)
  const request = makeRequest(holdings, loop)
  const readBackend = (backend: Backend) => Effect.suspend(() => read(membership.heldOf(backend)))
  const interval = Duration.fromInputUnsafe(options?.interval ?? "5 seconds")
  yield* follow(holdings, fleet, loop, readBackend, membership, interval)

  return Residency.of({
    ...View.make(holdings, fleet),
    ...Uses.make(holdings, loop),
    request: (backend, model, options) => {
      if (!model.remote) request(membership.heldOf(backend), model, options ?? {})
    },
    load: Effect.fn("Residency.load")(function* (backend, model, options) {
      if (model.remote) return
      const started = request(membership.heldOf(backend), model, options ?? {})
      if (started !== undefined) return yield* Deferred.await(started.end)
      const failure = backends.get(backend.id)?.history.failure(model.key, now())
      if (failure !== undefined) return yield* failure
    }),
    unload: (backend, model) => {
      const held = backends.get(backend.id)
      return held !== undefined && loop.unload(held, model)
    },
    pin: (backend, model) => pins.add(backend, model.key),
    refresh: Effect.suspend(() =>
      Effect.forEach(
        fleet.members(),
        ({ backend }) =>
          Effect.catchDefect(
            readBackend(backend),
            (defect) => Effect.logWarning(`reading ${backend.id} failed`, defect),
          ),
        { concurrency: "unbounded", discard: true },
      )
    ),
    onChange: listeners.add,
    onSpill: spillListeners.add,
  })
})

/**
 * Reads `/api/ps` of every backend on a schedule, and owns the loads and unloads.
 *
 * **Details**
 *
 * - What the router has done itself (a load that ended, a request that used a model) counts until a reading that
 *   *began* after it shows otherwise.
 * - A model whose keep-alive has run out since the last reading is absent, unless it was used since. A model that
 *   Ollama lists although its keep-alive has run out is busy, so resident.
 * - Names are compared in canonical form, and by the digest of the manifest or of the weights where two names share
 *   them.
 * - Loads of one backend are serial, wait where `VramLedger` has no room, and belong to this layer's scope: a client
 *   that leaves does not end a load.
 * - Where memory is managed, a load keeps its model for ever, ends only when `/api/ps` shows the model, and may have
 *   idle models unloaded by the victim picker. A load that has waited for `patience` may have busy models drained:
 *   they get no new requests, and are unloaded when their last request has ended.
 * - Where memory is not managed, two models that do not fit together, as a load has shown, are in conflict. A model
 *   is not loaded while a model in conflict with it is in use, unless its load has waited for `patience`. Then the
 *   other model gets no new requests while the load runs.
 * - Models that others load are adopted, and models that others unload are noticed. A model whose layers spilled to
 *   the CPU is reported, and never counts as a success.
 * - A failed load is not repeated for a cool-down of 1 second, doubling to 30 seconds.
 * - A load is expected to take as long as earlier loads of the model on this backend, else 1.5 seconds plus its size
 *   on disk at 2 GB/s.
 * - A throw of the victim picker is logged and counts as "no victims". A defect of another service during a load ends
 *   that load with a `LoadError`. Neither stops another load.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (
  options?: Options,
): Layer.Layer<Residency, never, Fleet | OllamaApi | VramLedger | ModelCatalog> =>
  Layer.effect(Residency, make(options))
