/**
 * Residency from `/api/ps` and from the router's own loads and unloads.
 *
 * @since 0.1.0
 */
import { Clock, Deferred, Duration, Effect, FiberSet, Layer, Option, Result, Schedule } from "effect"
import { type Backend, Fleet } from "../services/Fleet.ts"
import { isEmbedder, type Model, ModelCatalog } from "../services/ModelCatalog.ts"
import { OllamaApi, type PsModel } from "../services/OllamaApi.ts"
import type { VictimPicker } from "../services/Plugin.ts"
import {
  type LoadEnd,
  type LoadError,
  type LoadRequest,
  type Pin,
  Residency,
  type ResidentModel,
  type Spill,
} from "../services/Residency.ts"
import { type Allocation, type NoRoom, type Observed, VramLedger } from "../services/VramLedger.ts"
import { every } from "./internal/every.ts"
import * as Listeners from "./internal/listeners.ts"
import { type Load, Loads, type Turn } from "./internal/loads.ts"
import { makeRoom, type Tenant } from "./internal/makeRoom.ts"
import { perBackend } from "./internal/perBackend.ts"
import { Entry, ResidentModels } from "./internal/residentModels.ts"
import { isSpilled } from "./internal/spilled.ts"

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
  /** A model used less long ago is not unloaded, unless a load has waited for `patience`. Defaults to 1 second. */
  readonly idle?: Duration.Input | undefined
  /** After so long a wait, what is busy is drained for a load, and no other load passes it. Defaults to 10 seconds. */
  readonly patience?: Duration.Input | undefined
}

/** What a load costs before a byte is read, in milliseconds: starting the runner. */
const loadBaseMillis = 1500
/** Bytes a millisecond, about an NVMe disk: 2 GB/s. */
const loadBytesPerMilli = 2e6
/** Taken for a model whose size nobody has said. */
const unknownBytes = 8e9
/** `keep_alive` of loads where memory is managed: for ever, so that Ollama never evicts by itself. */
const forever = -1
/** Between two looks whether an unloaded model has gone, and how long one looks. */
const goneMillis = 250
const goneLooks = 40
/** How often loads that wait for room are looked at, besides whenever something changes. */
const lookMillis = 500

interface Held {
  readonly models: ResidentModels
  readonly loads: Loads
  /** Whether its memory has been read: before that nobody knows what is in it. */
  read: boolean
}

const millisOf = (input: Duration.Input): number => Duration.toMillis(Duration.fromInputUnsafe(input))

const nobody: VictimPicker = { kind: "victim-picker", name: "none", pick: () => [] }
const nothing: Pin = { release: () => {} }

const make = Effect.fnUntraced(function* (options: Options | undefined) {
  const timeout = Duration.fromInputUnsafe(options?.timeout ?? "5 seconds")
  const loadTimeout = Duration.fromInputUnsafe(options?.loadTimeout ?? "300 seconds")
  const interval = Duration.fromInputUnsafe(options?.interval ?? "5 seconds")
  const idleMillis = millisOf(options?.idle ?? "1 second")
  const patienceMillis = millisOf(options?.patience ?? "10 seconds")
  const picker = options?.victims ?? nobody
  const fleet = yield* Fleet
  const api = yield* OllamaApi
  const ledger = yield* VramLedger
  const catalog = yield* ModelCatalog
  const clock = yield* Clock.Clock
  const run = yield* FiberSet.makeRuntime()
  const listeners = Listeners.make<LoadEnd | undefined>()
  const spillListeners = Listeners.make<Spill>()
  const backends = new Map<string, Held>()
  /** By backend and model: kept whether it is in memory or not. */
  const pins = new Map<string, number>()
  const now = (): number => clock.currentTimeMillisUnsafe()
  /** Orders touches, loads and readings, which may fall into one millisecond. */
  let seq = 0

  // A load that starts or ends may change what is free on the devices of other backends, too.
  let pumping = false
  let again = false
  const pumpAll = (): void => {
    again = true
    if (pumping) return
    pumping = true
    while (again) {
      again = false
      for (const { loads } of backends.values()) loads.pump()
    }
    pumping = false
  }

  const ended = ({ loads }: Held, load: Load, millis: number, error: LoadError | undefined, spilled = false): void => {
    const coolDown = error === undefined ? undefined : loads.failed(error)
    loads.finish(load, error)
    listeners.notify({ backend: loads.backend.id, model: load.model.key, millis, error, spilled })
    // Who waits for the model is told again when it may be tried again.
    if (coolDown !== undefined) {
      run(Effect.andThen(Effect.sleep(coolDown), Effect.sync(() => listeners.notify(undefined))))
    }
    pumpAll()
  }

  const observedOf = (entry: Entry, row: PsModel): Observed => ({
    size: row.size,
    sizeVram: row.size_vram,
    contextLength: row.context_length,
    automatic: entry.ours && entry.tier === undefined,
  })

  const heldOf = (backend: Backend): Held => {
    let held = backends.get(backend.id)
    if (held !== undefined) return held
    const models = new ResidentModels(backend.id, catalog, {
      adopt: (entry, row) => ledger.adopt(backend, entry.key, observedOf(entry, row)),
      observe: (entry, row) => {
        // From before its memory could be read: from now on it is charged.
        if (entry.allocation!.shares().length === 0 && ledger.managed(backend)) {
          entry.allocation!.move("gone")
          entry.allocation = ledger.adopt(backend, entry.key, observedOf(entry, row))
        }
        ledger.observe(entry.allocation!, catalog.peek(entry.key), observedOf(entry, row))
        const spilled = isSpilled(backend, row)
        if (spilled && !entry.spilled) report(backend.id, entry.key, row)
        entry.spilled = spilled
      },
    })
    const loads = new Loads(backend, ledger, Duration.toMillis(loadTimeout), {
      start: (load, allocation) => void run(perform(made, load, allocation)),
      blocked: (load) => blocked(made, load),
      there: (load) => resident(made, load.model, load),
      over: (load) => ended(made, load, 0, undefined),
      noRoom: (load, why) => noRoom(load, why),
      drop: (load) => {
        loads.finish(load, loads.error(load.model.key, "no free memory", now()))
        run(Effect.sync(() => listeners.notify(undefined)))
      },
      fail: (load, description) =>
        ended(made, load, now() - load.since, loads.error(load.model.key, description, now(), 500)),
    })
    const made: Held = { models, loads, read: false }
    held = made
    backends.set(backend.id, held)
    return held
  }

  const report = (backend: string, model: string, row: PsModel): void => {
    spillListeners.notify({ backend, model, size: row.size, sizeVram: row.size_vram })
    run(Effect.annotateLogs(Effect.logWarning("model does not fit on the GPU: layers spilled to the CPU"), {
      backend,
      model,
      size: row.size,
      sizeVram: row.size_vram,
    }))
  }

  const pinned = (backend: string, key: string): boolean => pins.has(`${backend} ${key}`)

  /** Nothing is loaded where nobody has looked yet, nor where the model itself has to leave first. */
  const blocked = (held: Held, load: Load): boolean => {
    const { model } = load
    if (!ledger.managed(held.loads.backend)) return held.models.find(model)?.draining === true
    if (!held.read) return true
    const entry = held.models.find(model)
    if (entry === undefined) return false
    if (!entry.draining && held.models.idle(entry) && !pinned(held.models.backend, entry.key)) drain(held, entry)
    return true
  }

  const tenants = (): ReadonlyArray<Tenant> => {
    const all: Array<Tenant> = []
    for (const { loads, models } of backends.values()) {
      for (const entry of models.entries.values()) {
        all.push({
          models,
          entry,
          pinned: pinned(models.backend, entry.key),
          loading: loads.running?.model.key === entry.key,
          loadMillis: loadMillis(models.backend, entry.key, entry.row?.size),
        })
      }
    }
    return all
  }

  const noRoom = (load: Load, { freeing, never, reason }: NoRoom): Turn => {
    if (never) return { failed: `${load.model.key} does not fit: ${reason}` }
    if (freeing.length === 0) return "pass"
    // It was only to use free memory, and there is none: whoever needs the model must not wait for it.
    if (!load.evicts) return "drop"
    const impatient = now() - load.since >= patienceMillis
    const allocations = ledger.allocations()
    const leave = makeRoom({ freeing, tenants: tenants(), allocations, picker, now: now(), impatient, idleMillis })
    if (leave === "none") return impatient ? "hold" : "pass"
    if (leave === "under way") return "hold"
    for (const { entry, models } of leave) drain(backends.get(models.backend)!, entry)
    return "hold"
  }

  const drain = (held: Held, entry: Entry): void => {
    entry.draining = true
    entry.allocation?.move("draining")
    if (held.models.idle(entry)) run(leave(held, entry))
    listeners.notify(undefined)
  }

  const undrain = (held: Held, entry: Entry): void => {
    if (held.models.entries.get(entry.key) !== entry || !entry.draining) return
    entry.draining = false
    entry.allocation?.move("resident")
    listeners.notify(undefined)
    pumpAll()
  }

  /** Unloads a model that is idle and gets no new requests, and waits until it has gone. */
  const leave = Effect.fnUntraced(function* (held: Held, entry: Entry) {
    yield* Effect.yieldNow
    if (!entry.draining || !held.models.idle(entry)) return
    // Pinned while its last requests were on their way out: it stays.
    if (pinned(held.models.backend, entry.key)) return undrain(held, entry)
    const { backend } = held.loads
    const model = catalog.peek(entry.key)
    const embedder = model !== undefined && isEmbedder(model)
    const asked = yield* api.unload(backend, entry.key, { embedder }).pipe(
      Effect.timeoutOption(timeout),
      Effect.option,
      Effect.map(Option.flatten),
    )
    for (let look = 0; Option.isSome(asked) && look < goneLooks; look++) {
      yield* read(backend)
      if (held.models.entries.get(entry.key) !== entry) return
      yield* Effect.sleep(goneMillis)
    }
    // Somebody else uses it, behind our back.
    undrain(held, entry)
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

  const perform = Effect.fnUntraced(function* (held: Held, load: Load, allocation: Allocation) {
    // A fiber starts in the stack of who forks it: yield, so that a load never begins inside a commit.
    yield* Effect.yieldNow
    const { loads: { backend }, models } = held
    const { model, numCtx } = load
    // An alias of it may have been loaded while this one was queued.
    if (resident(held, model, load)) {
      held.loads.ended(now())
      allocation.move("gone")
      return ended(held, load, 0, undefined)
    }
    const managed = ledger.managed(backend)
    const begun = now()
    const result = yield* call(backend, load)
    const millis = now() - begun
    const present = backends.get(backend.id) === held
    if (Result.isFailure(result)) {
      held.loads.ended(now())
      // The backend may still be giving back what the load had taken.
      allocation.move("releasing")
      const { description, status } = result.failure
      ended(held, load, millis, held.loads.error(model.key, description, now(), status))
    } else {
      allocation.move(present ? "resident" : "releasing")
      if (present) models.assume(model, ++seq, now(), { allocation, tier: numCtx })
      held.loads.succeeded(model.key, millis)
      // Where memory is managed a load is only over when `/api/ps` shows it.
      if (managed && present) {
        yield* read(backend)
        yield* ledger.refresh
      }
      held.loads.ended(now())
      const entry = models.find(model)
      const vanished = managed && present && backends.get(backend.id) === held && entry === undefined
      const error = vanished ? held.loads.error(model.key, "it was gone again after its load", now()) : undefined
      ended(held, load, millis, error, entry?.spilled)
    }
    if (present && !(managed && Result.isSuccess(result))) yield* read(backend)
  })

  /** Reads one backend. A reading that fails or is too slow leaves the last one in place. */
  const read = Effect.fnUntraced(function* (backend: Backend) {
    const held = heldOf(backend)
    const begun = ++seq
    const rows = yield* api.ps(backend).pipe(Effect.timeoutOption(timeout), Effect.option, Effect.map(Option.flatten))
    // The backend may have left the fleet, or have come back as another one, in the meantime.
    if (backends.get(backend.id) !== held) return
    if (Option.isSome(rows)) {
      held.read = true
      if (held.models.apply(rows.value, begun, now())) listeners.notify(undefined)
    }
    for (const load of held.loads.overdue(now())) {
      ended(held, load, now() - load.since, held.loads.error(load.model.key, "no room in memory", now()))
    }
    pumpAll()
  })

  yield* Effect.acquireRelease(Effect.sync(() => ledger.onChange(pumpAll)), (stop) => Effect.sync(stop))
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
  const look = Effect.sync(() => {
    for (const { loads } of backends.values()) if (loads.queue.length > 0) return pumpAll()
  })
  yield* Effect.forkScoped(Effect.repeat(look, Schedule.spaced(lookMillis)))

  /** Whether it is there, in the way that is asked for: with this explicit context or a larger one, or with the automatic one. */
  const resident = (held: Held, model: Model, { contextMin, numCtx }: LoadRequest): boolean => {
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

  const request = (backend: Backend, model: Model, options?: LoadRequest): Load | undefined => {
    if (model.remote) return undefined
    const held = heldOf(backend)
    const evicts = options?.evicts ?? true
    const joined = held.loads.find(model.key)
    if (joined !== undefined) {
      if (evicts) held.loads.promote(joined)
      return joined
    }
    if (resident(held, model, options ?? {}) || held.loads.failure(model.key, now) !== undefined) return undefined
    const queued = held.loads.enqueue(model, options ?? {}, now())
    const prepare = ledger.prepare(backend, model)
    if (prepare !== undefined) {
      queued.ready = false
      run(describe(queued, prepare))
    }
    pumpAll()
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

  const loadMillis = (backend: string, key: string, size: number | undefined): number =>
    backends.get(backend)?.loads.learntMillis(key) ?? loadBaseMillis + (size || unknownBytes) / loadBytesPerMilli

  const keepAlive = (backend: Backend): number | undefined => ledger.managed(backend) ? forever : options?.keepAlive

  const entryOf = (backend: string, model: Model): Entry | undefined => {
    const models = backends.get(backend)?.models
    const entry = models?.find(model)
    return models !== undefined && entry !== undefined && models.alive(entry, now()) ? entry : undefined
  }

  const touched = (held: Held, model: Model): void => {
    if (held.models.assume(model, ++seq, now())) listeners.notify(undefined)
  }

  const held = (held: Held, model: Model): Pin => {
    touched(held, model)
    const entry = held.models.find(model)
    if (entry === undefined) return nothing
    entry.refs++
    return {
      release: () => {
        held.models.release(entry)
        if (entry.draining && held.models.idle(entry)) run(leave(held, entry))
      },
    }
  }

  return Residency.of({
    state: (backend, model) => {
      const held = backends.get(backend)
      if (held === undefined) return "absent"
      if (held.loads.find(model.key) !== undefined) return "loading"
      const entry = entryOf(backend, model)
      return entry === undefined ? "absent" : entry.draining ? "draining" : "resident"
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
    unload: (backend, model) => {
      const held = backends.get(backend.id)
      const entry = held?.models.find(model)
      if (held === undefined || entry === undefined || entry.draining || !held.models.idle(entry)) return false
      if (pinned(backend.id, entry.key) || held.loads.find(entry.key) !== undefined) return false
      drain(held, entry)
      return true
    },
    hold: (backend, model) => {
      const known = backends.get(backend)
      return known === undefined ? nothing : held(known, model)
    },
    pin: (backend, model) => {
      const id = `${backend} ${model.key}`
      pins.set(id, (pins.get(id) ?? 0) + 1)
      let released = false
      return {
        release: () => {
          if (released) return
          released = true
          const left = (pins.get(id) ?? 1) - 1
          if (left > 0) pins.set(id, left)
          else pins.delete(id)
        },
      }
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
      return member === undefined ? options?.keepAlive : keepAlive(member)
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
    loadMillis: (backend, model) => loadMillis(backend, model.key, model.owners.get(backend)?.size),
    touch: (backend, model) => {
      const held = backends.get(backend)
      if (held === undefined) return
      held.models.used(held.models.find(model)?.key ?? model.key, now())
      touched(held, model)
    },
    forget: (backend, model) => {
      const held = backends.get(backend)
      if (held === undefined) return
      if (held.models.forget(model, ++seq)) listeners.notify(undefined)
      pumpAll()
    },
    refresh: Effect.suspend(() =>
      Effect.forEach(fleet.members(), ({ backend }) => read(backend), { concurrency: "unbounded", discard: true })
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
 * - What the router did itself (a load that ended, a request that used a model) is believed until a reading that *began* after it shows otherwise.
 * - A model whose keep-alive has run out since the last reading is absent, unless it was used since. One that Ollama lists although its keep-alive has
 *   run out is busy, so resident.
 * - Names are compared in canonical form, and by the digest of the manifest or of the weights where two names share them.
 * - Loads of one backend are serial, wait where `VramLedger` has no room, and belong to this layer's scope: a client that leaves does not end one.
 * - Where memory is managed, loads keep their model for ever, end only when `/api/ps` shows it, and may have idle models unloaded by the victim picker.
 *   One that has waited for `patience` has busy ones drained: they get no new requests, and are unloaded when their last one has ended.
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
