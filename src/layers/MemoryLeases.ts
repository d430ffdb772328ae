/**
 * Slots and pins counted in this process, and the live view over them.
 *
 * @since 0.1.0
 */
import { Clock, Effect, Layer, Stream } from "effect"
import { BackendHealth } from "../services/BackendHealth.ts"
import { Breaker, type BreakerState, type Permit } from "../services/Breaker.ts"
import { type Backend, Fleet, type Member } from "../services/Fleet.ts"
import type { BackendView, FleetView } from "../services/FleetView.ts"
import { type Commit, type Lease, Leases } from "../services/Leases.ts"
import { type Model, ModelCatalog } from "../services/ModelCatalog.ts"
import type { Outcome } from "../services/Outcome.ts"
import type { Candidate } from "../services/Plugin.ts"
import type { Demand } from "../services/RoutedRequest.ts"
import { type LoadError, type Pin, Residency } from "../services/Residency.ts"
import { type Refusal, refuse } from "../services/Refusal.ts"
import * as Listeners from "./internal/listeners.ts"

interface Sources {
  readonly health: BackendHealth["Service"]
  readonly breaker: Breaker["Service"]
  readonly residency: Residency["Service"]
  readonly catalog: ModelCatalog["Service"]
  readonly clock: Clock.Clock
}

/** How much the latest first byte counts in the moving average. */
const smoothing = 0.2

/** Streams on one device, over all backends that use it. */
class DeviceStreams {
  streams = 0
}
const none: ReadonlyArray<DeviceStreams> = []

/** One backend's counters; every other property asks the service that owns it, at the moment it is read. */
class Slots implements BackendView {
  member: Member["state"]
  backend: Backend
  streams = 0
  lastLeaseAt = 0
  firstByteMillis: number | undefined = undefined
  /** Of the devices that other backends use, too. */
  devices: ReadonlyArray<DeviceStreams> = none
  /** Counters stay when they fall to zero: a `Map` that gains and loses an entry for each request keeps V8 from freeing what came after (see `edge/bag.ts`). */
  private readonly perModel = new Map<string, { streams: number }>()
  readonly sources: Sources
  constructor(member: Member, sources: Sources) {
    this.member = member.state
    this.backend = member.backend
    this.sources = sources
  }
  get health() {
    return this.sources.health.status(this.backend.id).state
  }
  streamsOf(model: Model): number {
    return this.perModel.get(model.key)?.streams ?? 0
  }
  count(model: Model, change: 1 | -1): void {
    this.streams += change
    const counter = this.perModel.get(model.key)
    if (counter === undefined) this.perModel.set(model.key, { streams: change })
    else counter.streams += change
  }
  residency(model: Model) {
    return this.sources.residency.state(this.backend.id, model)
  }
  breaker(model: Model) {
    return this.sources.breaker.state(this.backend.id, model.key)
  }
  owns(model: Model): boolean {
    return model.owners.has(this.backend.id)
  }
  memory(model: Model) {
    return this.sources.residency.memory(this.backend.id, model)
  }
  loadMillis(model: Model): number {
    return this.sources.residency.loadMillis(this.backend.id, model)
  }
  full(model: Model): boolean {
    if (this.streams >= this.backend.streamsMax || this.streamsOf(model) >= this.backend.parallelism) return true
    for (const { streams } of this.devices) if (streams >= this.backend.streamsMax) return true
    return false
  }
}

class HeldLease implements Lease {
  readonly backend: Backend
  readonly demand: Demand
  readonly slots: Slots
  readonly permit: Permit
  readonly pin: Pin | undefined
  /** As they were when it began: a backend may be given others meanwhile. */
  readonly devices: ReadonlyArray<DeviceStreams>
  readonly freed: () => void
  released = false
  constructor(slots: Slots, demand: Demand, permit: Permit, pin: Pin | undefined, freed: () => void) {
    this.backend = slots.backend
    this.demand = demand
    this.slots = slots
    this.permit = permit
    this.pin = pin
    this.devices = slots.devices
    this.freed = freed
  }
  readonly release = (outcome: Outcome): void => {
    if (this.released) return
    this.released = true
    const { demand, slots } = this
    const { model } = demand
    slots.count(model, -1)
    for (const device of this.devices) device.streams--
    if (outcome.kind === "success" && outcome.firstByteMillis !== undefined) {
      const before = slots.firstByteMillis
      slots.firstByteMillis = before === undefined
        ? outcome.firstByteMillis
        : before + smoothing * (outcome.firstByteMillis - before)
    }
    const { health, residency } = slots.sources
    this.permit.record(outcome)
    health.record(slots.backend.id, outcome)
    if (outcome.kind === "success" && !model.remote && demand.keepsNothing !== true) {
      residency.touch(slots.backend.id, model)
    }
    this.pin?.release()
    this.freed()
  }
}

const make = Effect.gen(function* () {
  const fleet = yield* Fleet
  const sources: Sources = {
    health: yield* BackendHealth,
    breaker: yield* Breaker,
    residency: yield* Residency,
    catalog: yield* ModelCatalog,
    clock: yield* Clock.Clock,
  }
  const { breaker, catalog, clock, health, residency } = sources
  const known = new Map<string, Slots>()
  let members: ReadonlyArray<Member> | undefined
  let backends: ReadonlyArray<Slots> = []
  let held = 0

  /** Counters outlive a change of the fleet: a backend that comes back under its id still has its running streams. */
  const current = (): ReadonlyArray<Slots> => {
    const now = fleet.members()
    if (now !== members) {
      members = now
      owners.clear()
      backends = now.map((member) => {
        const slots = known.get(member.backend.id) ?? new Slots(member, sources)
        slots.member = member.state
        slots.backend = member.backend
        known.set(member.backend.id, slots)
        return slots
      })
      share(backends)
      for (const [id, slots] of known) if (!backends.includes(slots) && slots.streams === 0) known.delete(id)
    }
    return backends
  }

  const devices = new Map<string, DeviceStreams>()
  /** A device that one backend has for itself is bounded with the backend. */
  const share = (all: ReadonlyArray<Slots>): void => {
    const users = new Map<string, number>()
    for (const { backend } of all) for (const uuid of backend.devices) users.set(uuid, (users.get(uuid) ?? 0) + 1)
    for (const slots of all) {
      slots.devices = slots.backend.devices.filter((uuid) => users.get(uuid)! > 1 && !uuid.startsWith("system")).map(
        (uuid) => {
          const counted = devices.get(uuid) ?? new DeviceStreams()
          devices.set(uuid, counted)
          return counted
        },
      )
    }
  }

  const owners = new Map<string, ReadonlyArray<Slots>>()
  let ownersVersion = -1
  const view: FleetView = {
    get backends() {
      return current()
    },
    owners: (model) => {
      const all = current()
      if (ownersVersion !== catalog.version()) {
        ownersVersion = catalog.version()
        owners.clear()
      }
      let found = owners.get(model.key)
      if (found === undefined) {
        // A request that has waited holds the model as it was when it came.
        const latest = catalog.peek(model.key) ?? model
        found = all.filter((slots) => slots.owns(latest))
        owners.set(model.key, found)
      }
      return found
    },
    find: (id) => current().find((slots) => slots.backend.id === id),
  }

  const listeners = Listeners.make<void>()
  const freed = (): void => listeners.notify()
  const released = (): void => {
    held--
    freed()
  }
  const stops = [health.onChange(freed), breaker.onTransition(freed), residency.onChange(freed)]
  yield* Effect.addFinalizer(() => Effect.sync(() => stops.forEach((stop) => stop())))
  yield* Effect.forkScoped(Stream.runForEach(fleet.changes, () => Effect.sync(freed)))

  const take = (slots: Slots, demand: Demand): Lease | undefined => {
    // The permit comes last: once it is taken, nothing else can say no, so a half-open trial is never taken in vain.
    const permit = breaker.acquire(slots.backend.id, demand.model.key)
    if (permit === undefined) return undefined
    slots.count(demand.model, 1)
    for (const device of slots.devices) device.streams++
    slots.lastLeaseAt = clock.currentTimeMillisUnsafe()
    // In use from now on: a keep-alive that ends in the middle of a generation does not make the model look absent, and nobody unloads it.
    const pin = !demand.model.remote && demand.loads ? residency.hold(slots.backend.id, demand.model) : undefined
    held++
    return new HeldLease(slots, demand, permit, pin, released)
  }

  /** The automatic context there is known to be shorter than what is asked for. */
  const tooShort = (slots: Slots, { model, numCtx, tier }: Demand): boolean => {
    if (numCtx === undefined || tier !== undefined) return false
    const context = residency.context(slots.backend.id, model)
    return context !== undefined && context < numCtx
  }

  /** An explicit context never takes the place of the only automatic one, which everybody can use. */
  const replaceable = (slots: Slots, { model, tier }: Demand, mismatches: number): boolean =>
    slots.streamsOf(model) === 0 &&
    (tier === undefined || mismatches > 1 || residency.tier(slots.backend.id, model) !== undefined)

  const commit = (ranked: Iterable<Candidate>, demand: Demand): Commit => {
    const { model } = demand
    let busy = false
    let loading = false
    let considered = false
    let broken: number | undefined
    let failed: LoadError | undefined
    let cold: Slots | undefined
    let mismatched: Slots | undefined
    let mismatches = 0
    for (const { view } of ranked) {
      const slots = view as Slots
      considered = true
      const state = model.remote || !demand.loads ? "resident" : slots.residency(model)
      if (state === "loading") {
        loading = true
      } else if (state === "resident") {
        const serves = model.remote || !demand.loads || residency.serves(slots.backend.id, model, demand.numCtx)
        if (serves === false) {
          mismatched ??= slots
          mismatches++
          continue
        }
        // Its context is not known before the next reading.
        if (serves === undefined || slots.full(model)) {
          busy = true
          continue
        }
        const lease = take(slots, demand)
        if (lease !== undefined) return lease
        if (slots.breaker(model) === "half-open") busy = true
        else broken = Math.min(broken ?? Infinity, breaker.retryMillis(slots.backend.id, model.key))
      } else if (state === "draining") {
        busy = true
      } else if (holdsBack(slots.breaker(model))) {
        broken = Math.min(broken ?? Infinity, breaker.retryMillis(slots.backend.id, model.key))
      } else {
        const failure = residency.failure(slots.backend.id, model)
        if (tooShort(slots, demand)) {
          mismatches++
          continue
        }
        if (failure !== undefined) failed ??= failure
        else cold ??= slots
      }
    }
    if (cold !== undefined) {
      // A busy warm backend beats an idle cold one until the wait has cost as much as the load would.
      const waited = clock.currentTimeMillisUnsafe() - demand.since
      const worth = !loading && (!busy || (cold.streams === 0 && waited >= cold.loadMillis(model)))
      if (worth) {
        residency.request(cold.backend, model, { numCtx: demand.tier, contextMin: demand.numCtx })
        loading = true
      }
    } else if (mismatched !== undefined && !busy && !loading && replaceable(mismatched, demand, mismatches)) {
      // Loaded with another context everywhere: one of them has to change.
      residency.request(mismatched.backend, model, { numCtx: demand.tier, contextMin: demand.numCtx })
      loading = mismatched.residency(model) === "loading"
    }
    if (busy) return "wait"
    if (loading) return "loading"
    if (broken !== undefined) return unavailable(`${model.key} is failing on every backend that has it`, broken)
    if (failed !== undefined) return loadFailed(failed)
    if (mismatches > 0) return noContext(demand)
    return considered
      ? unavailable(`no backend can serve ${model.key} now`, undefined)
      : unavailable(`no healthy backend has ${model.key}`, undefined)
  }

  return Leases.of({
    view,
    commit,
    count: () => held,
    onFree: listeners.add,
  })
})

const holdsBack = (state: BreakerState): boolean => state === "open" || state === "isolated"

const unavailable = (message: string, retryMillis: number | undefined): Refusal =>
  refuse("NoBackend", message, {
    retryAfter: retryMillis === undefined ? 5 : Math.max(1, Math.ceil(retryMillis / 1000)),
  })

const noContext = ({ model, numCtx }: Demand): Refusal =>
  refuse(
    "BadRequest",
    `num_ctx ${
      numCtx ?? "automatic"
    } is not available for ${model.key} now: every backend holds it with another context; leave num_ctx out or ask for less`,
  )

/** Ollama's own words about a load that failed are what its user needs; why a backend could not be reached is not the client's business. */
const loadFailed = (error: LoadError): Refusal =>
  error.status === undefined
    ? refuse("BackendFailed", `${error.model} could not be loaded: no backend answered`, { retryAfter: 1 })
    : refuse("LoadFailed", error.description, { status: error.status })

/**
 * Leases counted in memory: one process, one truth. Concurrency is bounded by `Backend.parallelism` for each model and `Backend.streamsMax` for the backend.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<Leases, never, Fleet | BackendHealth | Breaker | Residency | ModelCatalog> = Layer
  .effect(Leases, make)
