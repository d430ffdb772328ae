/**
 * Unloads: who leaves, when, and until when one waits for it.
 *
 * @since 0.1.0
 */
import { Effect, Option } from "effect"
import { isEmbedder } from "../../../services/ModelCatalog.ts"
import type { Model } from "../../../services/ModelCatalog.ts"
import type { NoRoom } from "../../../services/VramLedger.ts"
import type { Entry } from "./entry.ts"
import type { Held, Holdings } from "./holdings.ts"
import type { Load, Turn } from "./loads.ts"
import { makeRoom, type Tenant } from "./makeRoom.ts"
import type { Read } from "./reading.ts"
import { loadMillis } from "./view.ts"

/** Between two looks whether an unloaded model has gone, and how long one looks. */
const goneMillis = 250
const goneLooks = 40

/** @category models @since 0.1.0 */
export interface Unloading {
  /** Whether a load has to wait for something that has to leave first. */
  readonly blocked: (held: Held, load: Load) => boolean
  /** What becomes of a load that finds no room. */
  readonly noRoom: (load: Load, why: NoRoom) => Turn
  /** Unloads a model that is idle and not pinned; whether it is one. */
  readonly unload: (held: Held, model: Model) => boolean
  /** A request has ended that used the model. */
  readonly rested: (held: Held, entry: Entry) => void
}

/** @category constructors @since 0.1.0 */
export const make = (holdings: Holdings, read: Read): Unloading => {
  const { api, backends, catalog, ledger, limits, listeners, now, pins, pumpAll, run } = holdings

  const drain = (held: Held, entry: Entry): void => {
    entry.draining = true
    entry.allocation?.move("draining")
    run(leave(held, entry))
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
    if (pins.has(held.models, entry.key)) return undrain(held, entry)
    const model = catalog.peek(entry.key)
    const embedder = model !== undefined && isEmbedder(model)
    const asked = yield* api.unload(held.loads.backend, entry.key, { embedder }).pipe(
      Effect.timeoutOption(limits.timeout),
      Effect.option,
      Effect.map(Option.flatten),
    )
    for (let look = 0; Option.isSome(asked) && look < goneLooks; look++) {
      yield* read(held)
      if (held.models.entries.get(entry.key) !== entry) return
      yield* Effect.sleep(goneMillis)
    }
    // Not at once: the load that wants the room would ask for the same again, and again be told no.
    if (Option.isNone(asked)) yield* Effect.sleep(goneMillis)
    // Somebody else uses it, behind our back.
    undrain(held, entry)
  })

  /** Whether a load would push out what is in use, and has not waited long enough for that. */
  const putOff = ({ models, rivals }: Held, { model, since }: Load): boolean => {
    if (now() - since >= limits.patienceMillis) return false
    for (const key of rivals.of(model.key)) {
      const rival = models.entries.get(key)
      if (rival === undefined || !models.alive(rival, now())) continue
      if (!models.idle(rival) || models.restedMillis(rival, now()) < limits.idleMillis) return true
    }
    return false
  }

  const tenants = (): ReadonlyArray<Tenant> => {
    const all: Array<Tenant> = []
    for (const { loads, models } of backends.values()) {
      for (const entry of models.entries.values()) {
        all.push({
          models,
          entry,
          pinned: pins.has(models, entry.key),
          loading: loads.running !== undefined && models.same(loads.running.model.key, entry.key),
          loadMillis: loadMillis(loads, entry.key, entry.row?.size),
        })
      }
    }
    return all
  }

  return {
    // Nothing is loaded where nobody has looked yet, nor where the model itself has to leave first.
    blocked: (held, load) => {
      const entry = held.models.find(load.model)
      if (!ledger.managed(held.loads.backend)) return entry?.draining === true || putOff(held, load)
      if (!held.read) return true
      if (entry === undefined) return false
      if (!entry.draining && held.models.idle(entry) && !pins.has(held.models, entry.key)) drain(held, entry)
      return true
    },
    noRoom: (load, { freeing, never, reason }) => {
      if (never) return { failed: `${load.model.key} does not fit: ${reason}` }
      if (freeing.length === 0) return "pass"
      // It was only to use free memory, and there is none: whoever needs the model must not wait for it.
      if (!load.evicts) return "drop"
      const impatient = now() - load.since >= limits.patienceMillis
      const leave = makeRoom({
        freeing,
        tenants: tenants(),
        allocations: ledger.allocations(),
        picker: limits.picker,
        now: now(),
        impatient,
        idleMillis: limits.idleMillis,
      })
      // Nobody who passes it can take what it waits for: they can be told to go like all others.
      if (leave === "none") return "pass"
      if (leave === "under way") return "hold"
      for (const { entry, models } of leave) drain(backends.get(models.backend)!, entry)
      return "hold"
    },
    unload: (held, model) => {
      const entry = held.models.find(model)
      if (entry === undefined || entry.draining || !held.models.idle(entry)) return false
      if (pins.has(held.models, entry.key) || held.loads.find(entry.key) !== undefined) return false
      drain(held, entry)
      return true
    },
    rested: (held, entry) => {
      if (entry.draining) run(leave(held, entry))
    },
  }
}
