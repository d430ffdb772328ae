/**
 * Residency from `/api/ps` and from the router's own loads.
 *
 * @since 0.1.0
 */
import { Clock, Deferred, Duration, Effect, FiberSet, Layer, Option, Result } from "effect"
import { type Backend, Fleet } from "../services/Fleet.ts"
import { isEmbedder, type Model, ModelCatalog } from "../services/ModelCatalog.ts"
import { OllamaApi } from "../services/OllamaApi.ts"
import { type LoadEnd, type LoadError, Residency, type ResidentModel } from "../services/Residency.ts"
import { type Allocation, VramLedger } from "../services/VramLedger.ts"
import { every } from "./internal/every.ts"
import * as Listeners from "./internal/listeners.ts"
import { type Load, Loads } from "./internal/loads.ts"
import { perBackend } from "./internal/perBackend.ts"
import { ResidentModels } from "./internal/residentModels.ts"

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
  /** Sent with each load: seconds, negative for "for ever". The backend's own default when absent. */
  readonly keepAlive?: number | undefined
}

/** What a load costs before a byte is read, in milliseconds: starting the runner. */
const loadBaseMillis = 1500
/** Bytes a millisecond, about an NVMe disk: 2 GB/s. */
const loadBytesPerMilli = 2e6
/** Taken for a model whose size nobody has said. */
const unknownBytes = 8e9

interface Held {
  readonly models: ResidentModels
  readonly loads: Loads
}

const make = Effect.fnUntraced(function* (options: Options | undefined) {
  const timeout = Duration.fromInputUnsafe(options?.timeout ?? "5 seconds")
  const loadTimeout = Duration.fromInputUnsafe(options?.loadTimeout ?? "300 seconds")
  const interval = Duration.fromInputUnsafe(options?.interval ?? "5 seconds")
  const fleet = yield* Fleet
  const api = yield* OllamaApi
  const ledger = yield* VramLedger
  const catalog = yield* ModelCatalog
  const clock = yield* Clock.Clock
  const run = yield* FiberSet.makeRuntime()
  const listeners = Listeners.make<LoadEnd | undefined>()
  const backends = new Map<string, Held>()
  const now = (): number => clock.currentTimeMillisUnsafe()
  /** Orders touches, loads and readings, which may fall into one millisecond. */
  let seq = 0

  const ended = ({ loads }: Held, load: Load, millis: number, error: LoadError | undefined): void => {
    const coolDown = error === undefined ? undefined : loads.failed(error)
    loads.finish(load, error)
    listeners.notify({ backend: loads.backend.id, model: load.model.key, millis, error })
    // Who waits for the model is told again when it may be tried again.
    if (coolDown !== undefined) {
      run(Effect.andThen(Effect.sleep(coolDown), Effect.sync(() => listeners.notify(undefined))))
    }
    loads.pump()
  }

  const heldOf = (backend: Backend): Held => {
    let held = backends.get(backend.id)
    if (held === undefined) {
      const made: Held = {
        models: new ResidentModels(backend.id, catalog),
        loads: new Loads(
          backend,
          ledger,
          Duration.toMillis(loadTimeout),
          (load, allocation) => run(perform(made, load, allocation)),
        ),
      }
      held = made
      backends.set(backend.id, held)
    }
    return held
  }

  const call = (backend: Backend, { model, numCtx }: Load) =>
    api.load(backend, model.key, { embedder: isEmbedder(model), keepAlive: options?.keepAlive, numCtx }).pipe(
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

  const perform = Effect.fnUntraced(function* (held: Held, load: Load, allocation: Allocation) {
    // A fiber starts in the stack of who forks it: yield, so that a load never begins inside a commit.
    yield* Effect.yieldNow
    const { loads: { backend }, models } = held
    const { model } = load
    // An alias of it may have been loaded while this one was queued.
    if (resident(held, model, load.numCtx)) {
      held.loads.ended(now())
      allocation.move("gone")
      return ended(held, load, 0, undefined)
    }
    const begun = now()
    const result = yield* call(backend, load)
    const millis = now() - begun
    const present = backends.get(backend.id) === held
    held.loads.ended(now())
    if (Result.isFailure(result)) {
      allocation.move("gone")
      const { description, status } = result.failure
      ended(held, load, millis, held.loads.error(model.key, description, now(), status))
    } else {
      allocation.move(present ? "resident" : "gone")
      if (present) models.assume(model, ++seq, now(), allocation)
      held.loads.succeeded(model.key, millis)
      ended(held, load, millis, undefined)
    }
    if (!present) return
    yield* read(backend)
    const row = models.find(model)?.row
    if (Result.isSuccess(result) && row !== undefined && row.size_vram < row.size) {
      yield* Effect.annotateLogs(Effect.logWarning("model does not fit on the GPU: layers spilled to the CPU"), {
        backend: backend.id,
        model: model.key,
        size: row.size,
        sizeVram: row.size_vram,
      })
    }
  })

  /** Reads one backend. A reading that fails or is too slow leaves the last one in place. */
  const read = Effect.fnUntraced(function* (backend: Backend) {
    const held = heldOf(backend)
    const begun = ++seq
    const rows = yield* api.ps(backend).pipe(Effect.timeoutOption(timeout), Effect.option, Effect.map(Option.flatten))
    // The backend may have left the fleet, or have come back as another one, in the meantime.
    if (backends.get(backend.id) !== held) return
    if (Option.isSome(rows) && held.models.apply(rows.value, begun, now())) listeners.notify(undefined)
    for (const load of held.loads.overdue(now())) {
      ended(held, load, now() - load.since, held.loads.error(load.model.key, "no room in memory", now()))
    }
    held.loads.pump()
  })

  yield* perBackend(
    fleet,
    (backend) => every(interval, read(backend)),
    (id) => {
      const held = backends.get(id)
      if (held === undefined) return
      backends.delete(id)
      held.models.forget(undefined, ++seq)
      for (const load of held.loads.queue.splice(0)) {
        held.loads.finish(load, held.loads.error(load.model.key, "the backend left the fleet", now()))
      }
      listeners.notify(undefined)
    },
  )

  const resident = (held: Held, model: Model, numCtx?: number): boolean => {
    const entry = held.models.find(model)
    if (entry === undefined || !held.models.alive(entry, now())) return false
    // A runner with a smaller context than asked for has to be loaded again.
    return numCtx === undefined || entry.row?.context_length === undefined || entry.row.context_length >= numCtx
  }

  const request = (
    backend: Backend,
    model: Model,
    load?: { readonly numCtx?: number | undefined },
  ): Load | undefined => {
    if (model.remote) return undefined
    const held = heldOf(backend)
    const joined = held.loads.find(model.key)
    if (joined !== undefined) return joined
    if (resident(held, model, load?.numCtx) || held.loads.failure(model.key, now) !== undefined) return undefined
    const queued = held.loads.enqueue(model, load?.numCtx, now())
    held.loads.pump()
    listeners.notify(undefined)
    return queued
  }

  const loading = ({ loads }: Held): ReadonlyArray<ResidentModel> =>
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

  return Residency.of({
    state: (backend, model) => {
      const held = backends.get(backend)
      if (held === undefined) return "absent"
      if (held.loads.find(model.key) !== undefined) return "loading"
      const entry = held.models.find(model)
      return entry !== undefined && held.models.alive(entry, now()) ? "resident" : "absent"
    },
    list: (backend) => {
      const held = backends.get(backend)
      if (held === undefined) return []
      const started = loading(held)
      return [
        ...started,
        ...held.models.list(now()).filter(({ model }) => !started.some((load) => load.model === model)),
      ]
    },
    request: (backend, model, load) => void request(backend, model, load),
    load: Effect.fn("Residency.load")(function* (backend, model, load) {
      const started = request(backend, model, load)
      if (started !== undefined) return yield* Deferred.await(started.end)
      const failure = backends.get(backend.id)?.loads.failure(model.key, now)
      if (failure !== undefined) return yield* failure
    }),
    failure: (backend, model) => backends.get(backend)?.loads.failure(model.key, now),
    loadMillis: (backend, model) => {
      const learnt = backends.get(backend)?.loads.learntMillis(model.key)
      if (learnt !== undefined) return learnt
      return loadBaseMillis + (model.owners.get(backend)?.size || unknownBytes) / loadBytesPerMilli
    },
    touch: (backend, model) => {
      if (backends.get(backend)?.models.assume(model, ++seq, now()) === true) listeners.notify(undefined)
    },
    forget: (backend, model) => {
      const held = backends.get(backend)
      if (held === undefined) return
      if (held.models.forget(model, ++seq)) listeners.notify(undefined)
      held.loads.pump()
    },
    refresh: Effect.suspend(() =>
      Effect.forEach(fleet.members(), ({ backend }) => read(backend), { concurrency: "unbounded", discard: true })
    ),
    onChange: listeners.add,
  })
})

/**
 * Reads `/api/ps` of every backend on a schedule, and owns the loads.
 *
 * **Details**
 *
 * - What the router did itself (a load that ended, a request that used a model) is believed until a reading that *began* after it shows otherwise.
 * - A model whose keep-alive has run out since the last reading is absent, unless it was used since. One that Ollama lists although its keep-alive has
 *   run out is busy, so resident.
 * - Names are compared in canonical form, and by the digest of the manifest or of the weights where two names share them.
 * - Loads of one backend are serial, wait where `VramLedger` has no room, and belong to this layer's scope: a client that leaves does not end one.
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
