/**
 * A fleet in plain memory around the real `LoadLoop`: a ledger, backends whose work a test ends when it wants, a victim
 * picker and listeners that misbehave. Checks each action at the moment the loop takes it.
 */
import { Clock, Duration, Effect, Logger, Option } from "effect"
import type { Held, Holdings } from "../../../../src/layers/memory/residency/holdings.ts"
import type { LoadedModel } from "../../../../src/layers/memory/residency/loadedModel.ts"
import { LoadLoop, type Work } from "../../../../src/layers/memory/residency/loadLoop.ts"
import type { Load } from "../../../../src/layers/memory/residency/loadQueue.ts"
import * as Membership from "../../../../src/layers/memory/residency/membership.ts"
import { Pins } from "../../../../src/layers/memory/residency/pins.ts"
import { makeRequest } from "../../../../src/layers/memory/residency/loadRequests.ts"
import { isResident } from "../../../../src/layers/memory/residency/snapshot.ts"
import * as Uses from "../../../../src/layers/memory/residency/uses.ts"
import { type Backend, backend } from "../../../../src/services/Fleet.ts"
import type { Victim } from "../../../../src/services/Plugin.ts"
import type { LoadEnd, LoadError, Pin, Spill } from "../../../../src/services/Residency.ts"
import type { Allocation, AllocationState, NoRoom, VramLedger } from "../../../../src/services/VramLedger.ts"
import * as Listeners from "../../../../src/support/listeners.ts"
import * as MockModelCatalog from "../../../../src/testing/mocks/MockModelCatalog.ts"

const device = "g0"
const capacity = 10
const idleMillis = 1000
const patienceMillis = 10_000
export const limitMillis = 60_000

/** `a` and `b` share one device whose memory is managed; `c` is not managed. */
export const backends: ReadonlyArray<Backend> = [
  backend({ url: "http://a", id: "a", devices: [device] }),
  backend({ url: "http://b", id: "b", devices: [device] }),
  backend({ url: "http://c", id: "c" }),
]
const isManaged = ({ id }: { readonly id: string }): boolean => id !== "c"

const sizes: Readonly<Record<string, number>> = {
  "small:latest": 3,
  "small-copy:latest": 3,
  "mid:latest": 5,
  "large:latest": 8,
  "huge:latest": 20,
}
const owners = backends.map(({ id }) => id)
export const models = Object.keys(sizes).map((name) =>
  MockModelCatalog.model({ name, owners, ...(name.startsWith("small") ? { digest: "sha-small" } : {}) })
)
const weightsOf = (key: string): string => key === "small-copy:latest" ? "small:latest" : key

/** Numbers from 0 to 1, the same for the same seed (mulberry32). */
export const randomOf = (seed: number): () => number => {
  let state = seed * 0x9e3779b9 | 0
  return () => {
    state = state + 0x6d2b79f5 | 0
    let t = Math.imul(state ^ state >>> 15, 1 | state)
    t = t + Math.imul(t ^ t >>> 7, 61 | t) ^ t
    return ((t ^ t >>> 14) >>> 0) / 4294967296
  }
}

class PlainAllocation implements Allocation {
  readonly backend: string
  readonly model: string
  current: AllocationState = "reserved"
  private readonly world: LoadWorld

  constructor(backend: string, model: string, world: LoadWorld) {
    this.backend = backend
    this.model = model
    this.world = world
    world.allocations.add(this)
  }

  readonly shares = () => isManaged({ id: this.backend }) ? [{ device, bytes: sizes[this.model]! }] : []
  readonly state = (): AllocationState => this.current
  readonly move = (to: AllocationState): void => {
    if (this.current === "gone" || this.current === "releasing" && to !== "gone") return
    this.current = to === "releasing" && !isManaged({ id: this.backend }) ? "gone" : to
    if (this.current === "gone") {
      this.world.allocations.delete(this)
      this.world.loop.look()
    }
    this.world.fault("Allocation.move")
  }
}

export class LoadWorld {
  now = 0
  readonly random: () => number
  readonly violations: Array<string> = []
  readonly allocations = new Set<PlainAllocation>()
  readonly works: Array<Work> = []
  readonly background: Array<Effect.Effect<unknown>> = []
  readonly answers = new Map<Load, number>()
  readonly holds: Array<{ readonly held: Held; readonly key: string; readonly pin: Pin }> = []
  readonly pinned: Array<{ readonly backend: string; readonly key: string; readonly pin: Pin }> = []
  /** What is really in the memory of each backend: the context with which it was loaded, by key. */
  readonly memory = new Map<string, Map<string, number | undefined>>()
  readonly loop: LoadLoop
  readonly holdings: Holdings
  readonly membership: Membership.Membership
  readonly uses: Uses.Uses
  readonly request: ReturnType<typeof makeRequest>
  /** Whether services, the picker and listeners may throw now, and the listener may call back. */
  wild = false
  /** Whether anything has thrown since the step began. */
  threw = false
  step = 0
  /** Whether the ledger promises nothing on a device while a load runs there, as `MemoryVramLedger` does. */
  private readonly serial: boolean
  private calls = 0
  private seq = 0
  private asked: string | undefined
  private readonly started = new Map<Load, number>()
  private readonly idleSince = new Map<Held, number>()
  private readonly refusals = new Map<Load, NoRoom>()
  private lastRefused: { readonly held: Held; readonly load: Load } | undefined
  private picked = new Set<string>()
  private readonly draining = new Set<LoadedModel>()

  constructor(seed: number) {
    this.random = randomOf(seed)
    this.serial = this.chance(0.5)
    const changed = Listeners.make<LoadEnd | undefined>()
    this.holdings = {
      limits: {
        timeout: Duration.seconds(5),
        loadTimeout: Duration.millis(limitMillis),
        keepAlive: undefined,
        picker: { kind: "victim-picker", name: "wild", pick: (victims, wanted) => this.pick(victims, wanted) },
        idleMillis,
        patienceMillis,
      },
      api: {} as never,
      ledger: this.ledger(),
      catalog: {
        peek: (key) => {
          this.fault("ModelCatalog.peek")
          return models.find((each) => each.key === key)
        },
        blob: (model) => Option.some(weightsOf(model.key)),
      },
      backends: new Map(),
      waiting: { loads: 0 },
      pins: new Pins(),
      listeners: changed,
      evicted: () => {},
      spillListeners: Listeners.make<Spill>(),
      run: (effect) => void this.background.push(effect),
      now: () => this.now,
      nextSeq: () => ++this.seq,
      contained: (what, call, otherwise) => {
        try {
          return call()
        } catch (error) {
          // All other code is contained more closely, so that no event is lost.
          this.check(what !== "a decision on loads", `the loop itself throws: ${String(error)}`)
          return otherwise
        }
      },
      keepAlive: () => undefined,
    }
    this.loop = new LoadLoop(this.holdings, (work) => this.take(work))
    this.membership = Membership.make(this.holdings, this.loop)
    this.uses = Uses.make(this.holdings, this.loop)
    this.request = makeRequest(this.holdings, this.loop)
    changed.add(() => this.holdings.contained("", () => this.listen(), undefined))
  }

  chance(share: number): boolean {
    return this.random() < share
  }
  oneOf<A>(all: ReadonlyArray<A>): A {
    return all[Math.floor(this.random() * all.length)]!
  }
  fault(what: string): void {
    if (!this.wild || !this.chance(0.02)) return
    this.threw = true
    throw new Error(`${what} is broken`)
  }
  /** Runs checks of the test itself: nothing throws in them. */
  quiet<A>(call: () => A): A {
    const { wild } = this
    this.wild = false
    try {
      return call()
    } finally {
      this.wild = wild
    }
  }
  private check(holds: boolean, what: string): void {
    if (!holds) this.violations.push(`step ${this.step}: ${what}`)
  }

  /** The state of a backend; its answers are counted. */
  heldOf(on: Backend): Held {
    const known = this.holdings.backends.get(on.id)
    if (known !== undefined) return known
    const held = this.membership.heldOf(on)
    const right = held.loads.answer.bind(held.loads)
    held.loads.answer = (load, error) => {
      this.answered(held, load, error)
      right(load, error)
    }
    return held
  }

  memoryOf(id: string): Map<string, number | undefined> {
    let found = this.memory.get(id)
    if (found === undefined) this.memory.set(id, found = new Map())
    return found
  }

  ask(on: Backend, options: { readonly evicts?: boolean; readonly numCtx?: number }): void {
    const load = this.request(this.heldOf(on), this.oneOf(models), options)
    if (load !== undefined && !this.answers.has(load)) this.answers.set(load, 0)
  }

  unload(held: Held): void {
    const model = this.oneOf(models)
    const loaded = held.models.find(model)
    this.asked = loaded === undefined ? undefined : `${held.models.backend} ${loaded.key}`
    const was = loaded?.draining ?? false
    const queued = loaded !== undefined && held.loads.find(loaded.key) !== undefined
    if (this.loop.unload(held, model)) {
      this.check(loaded !== undefined && !was && !queued, "an unload was accepted that is draining or wanted")
    }
    this.asked = undefined
  }

  /** Ends one piece of work. */
  finish(work: Work, success: boolean): void {
    const { held } = work
    const { backend: id } = held.models
    const present = this.holdings.backends.get(id) === held
    if (work._tag === "Drain") {
      if (held.models.loaded.get(work.loaded.key) === work.loaded) {
        this.loop.happened(held, { _tag: "UnloadDue", model: work.loaded.key })
      }
      return
    }
    if (work._tag === "Unload") {
      if (success) {
        this.memoryOf(id).delete(work.loaded.key)
        this.read(held)
      } else if (held.models.loaded.get(work.loaded.key) === work.loaded) {
        this.loop.happened(held, { _tag: "UnloadFailed", model: work.loaded.key })
        const again = this.works.some((each) => each._tag === "Drain" && each.loaded === work.loaded)
        this.check(!work.loaded.draining || again || this.threw, "a model drains for ever after a failed unload")
      }
      return
    }
    const { allocation, load } = work
    this.idleSince.set(held, this.now)
    this.started.delete(load)
    const error = success ? undefined : held.history.error(load.model.key, "no", this.now)
    this.holdings.contained("", () => allocation.move(success && present ? "resident" : "releasing"), undefined)
    if (success && present) this.loaded(held, load, allocation)
    this.loop.ended(held, load, { millis: 1000, error })
  }

  private loaded(held: Held, load: Load, allocation: Allocation): void {
    const memory = this.memoryOf(held.models.backend)
    if (!isManaged({ id: held.models.backend })) {
      const before = Array.from(memory.keys())
      for (const key of before) if (this.chance(0.5)) memory.delete(key)
      held.conflicts.learn(load.model.key, before, (key) => memory.has(key))
    }
    for (const key of memory.keys()) if (weightsOf(key) === weightsOf(load.model.key)) memory.delete(key)
    memory.set(load.model.key, load.numCtx)
    this.quiet(() => held.models.assume(load.model, ++this.seq, this.now, { allocation, tier: load.numCtx }))
  }

  read(held: Held): void {
    if (this.holdings.backends.get(held.models.backend) !== held) return
    const rows = Array.from(this.memoryOf(held.models.backend), ([model, numCtx]) => ({
      name: model,
      model,
      size: 1,
      size_vram: 1,
      digest: `sha-${weightsOf(model)}`,
      expires_at: "2319-01-01T00:00:00Z",
      context_length: numCtx ?? 4096,
    }))
    held.read = true
    this.holdings.contained("", () => held.models.apply(rows, ++this.seq, this.now), false)
    this.loop.happened(held, { _tag: "Read" })
    this.loop.look()
  }

  /** Runs what the loop has forked: sleeps end at once, nothing is logged. */
  runBackground(): void {
    const sleepless = Object.create(Effect.runSync(Clock.Clock), { sleep: { value: () => Effect.void } })
    for (const effect of this.background.splice(0)) {
      Effect.runFork(effect.pipe(
        Effect.provideService(Clock.Clock, sleepless),
        Effect.provideService(Logger.CurrentLoggers, new Set()),
      ))
    }
  }

  busy(held: Held, key: string): boolean {
    return this.holds.some((one) => one.held === held && weightsOf(one.key) === weightsOf(key))
  }
  isPinned(id: string, key: string): boolean {
    return this.pinned.some((one) => one.backend === id && weightsOf(one.key) === weightsOf(key))
  }
  private isLoading(held: Held, key: string): boolean {
    return this.works.some((work) =>
      work._tag === "Load" && work.held === held && weightsOf(work.load.model.key) === weightsOf(key)
    )
  }
  private waitsForConflict(held: Held, load: Load): boolean {
    return this.now - load.since < patienceMillis &&
      Array.from(held.conflicts.of(load.model.key)).some((key) => {
        const other = held.models.loaded.get(key)
        return other !== undefined &&
          (this.busy(held, key) || held.models.restedMillis(other, this.now) < idleMillis)
      })
  }
  /** Whether nothing on its own backend keeps the load from starting. */
  private eligible(held: Held, load: Load): boolean {
    const copy = held.models.find(load.model)
    if (!load.ready) return false
    if (isManaged({ id: held.models.backend })) return held.read && copy === undefined
    return copy?.draining !== true && !this.waitsForConflict(held, load)
  }

  private charged(states: ReadonlyArray<AllocationState>): number {
    let sum = 0
    for (const one of this.allocations) {
      if (states.includes(one.current)) { for (const { bytes } of one.shares()) sum += bytes }
    }
    return sum
  }

  private ledger(): VramLedger["Service"] {
    return {
      managed: (on) => {
        this.fault("VramLedger.managed")
        return isManaged(on)
      },
      prepare: () => {
        this.fault("VramLedger.prepare")
        return this.wild && this.chance(0.3) ? Effect.void : undefined
      },
      reserve: (on, model) => this.reserve(on, model.key),
      adopt: (on, key) => {
        this.fault("VramLedger.adopt")
        const allocation = new PlainAllocation(on.id, key, this)
        allocation.current = "resident"
        return allocation
      },
      observe: () => this.fault("VramLedger.observe"),
      allocations: () => {
        this.fault("VramLedger.allocations")
        return Array.from(this.allocations)
      },
      needs: () => undefined,
      room: () => undefined,
      limit: () => undefined,
      context: () => undefined,
      devices: () => [],
      refresh: Effect.void,
      onChange: () => () => {},
    }
  }

  private reserve(on: Backend, key: string): Allocation | NoRoom {
    if (++this.calls > 2000) {
      this.check(false, "the loop does not end")
      throw new Error("the loop does not end")
    }
    this.fault("VramLedger.reserve")
    // A ledger may tell its listeners at any time.
    if (this.wild && this.chance(0.1)) this.loop.look()
    return this.quiet(() => this.checkedReserve(on, key))
  }

  /** Whether the memory that was refused is on its way back. */
  private isBeingFreed({ freeing }: NoRoom): boolean {
    return this.charged(["releasing"]) > 0 || this.charged(["draining", "releasing"]) >= freeing[0]!.bytes
  }

  private checkedReserve(on: Backend, key: string): Allocation | NoRoom {
    const held = this.holdings.backends.get(on.id)!
    const load = held.loads.queue.find(({ model }) => model.key === key)!
    for (const before of held.loads.queue.slice(0, held.loads.queue.indexOf(load))) {
      const why = this.refusals.get(before)
      if (why === undefined || why.freeing.length === 0 || !this.eligible(held, before)) continue
      this.check(before.evicts, "a load that may not evict was not dropped")
      this.check(!this.isBeingFreed(why), `${key} passes ${before.model.key}, for which memory is being freed`)
    }
    const answer = this.refusal(on, key) ?? new PlainAllocation(on.id, key, this)
    if ("_tag" in answer) {
      this.refusals.set(load, answer)
      this.lastRefused = { held, load }
    }
    return answer
  }

  /** Why a model does not fit now; `undefined` when it does. */
  private refusal(on: { readonly id: string }, key: string): NoRoom | undefined {
    const refuse = (freeing: NoRoom["freeing"], never = false): NoRoom => ({
      _tag: "NoRoom",
      reason: "it is full",
      freeing,
      never,
    })
    if (!isManaged(on)) return undefined
    if (sizes[key]! > capacity) return refuse([], true)
    const loading = Array.from(this.allocations).some((one) => one.current === "loading" && one.shares().length > 0)
    if (this.serial && loading) return refuse([])
    const missing = sizes[key]! - (capacity - this.charged(["loading", "resident", "draining", "releasing"]))
    return missing <= 0 ? undefined : refuse([{ devices: [device], bytes: missing }])
  }

  /** Checks what the loop offers, then picks well, or badly, or throws. */
  private pick(victims: ReadonlyArray<Victim>, wanted: number): ReadonlyArray<number> {
    this.quiet(() => this.checkVictims(victims, wanted))
    this.picked = new Set()
    this.fault("the picker")
    if (this.wild && this.chance(0.1)) {
      // A wrong answer is as good as a throw.
      this.threw = true
      return this.oneOf([[], [99], [0, 99]])
    }
    let sum = 0
    const chosen: Array<number> = []
    for (const [index, { bytes }] of victims.entries()) {
      if (sum >= wanted) break
      sum += bytes
      chosen.push(index)
    }
    if (sum < wanted) return this.wild ? chosen : []
    this.picked = new Set(chosen.map((index) => `${victims[index]!.backend} ${victims[index]!.model}`))
    return chosen
  }

  private checkVictims(victims: ReadonlyArray<Victim>, wanted: number): void {
    const { held: asker, load } = this.lastRefused!
    const missing = this.refusals.get(load)!.freeing[0]!.bytes
    const impatient = this.now - load.since >= patienceMillis
    this.check(load.evicts, "victims are picked for a load that may not evict")
    this.check(this.charged(["releasing"]) === 0, "victims are picked while memory is being released")
    this.check(wanted > 0 && wanted === missing - this.charged(["draining"]), "victims are picked for too many bytes")
    this.check(asker.loads.queue.includes(load), "victims are picked for a load that does not wait")
    for (const { backend: id, bytes, model } of victims) {
      const held = this.holdings.backends.get(id)!
      const loaded = held.models.loaded.get(model)!
      const name = `${model} on ${id}`
      this.check(bytes > 0, `${name} would free nothing`)
      this.check(!this.isPinned(id, model), `${name} is a victim and pinned`)
      this.check(!this.isLoading(held, model), `${name} is a victim and loading`)
      this.check(!loaded.draining, `${name} is a victim twice`)
      this.check(impatient || !this.busy(held, model), `${name} is a victim and busy`)
      this.check(
        impatient || held.models.restedMillis(loaded, this.now) >= idleMillis,
        `${name} is a victim and was used just now`,
      )
    }
  }

  private take(work: Work): void {
    this.quiet(() => {
      if (work._tag === "Load") this.checkLoad(work.held, work.load)
      else if (work._tag === "Drain") this.checkDrain(work.held, work.loaded)
      else this.checkUnload(work.held, work.loaded)
    })
    this.works.push(work)
  }

  private checkLoad(held: Held, load: Load): void {
    const { key } = load.model
    const loading = this.works.filter((work) => work._tag === "Load" && work.held === held)
    this.check(loading.length === 0, `${key} starts beside another load`)
    this.check(load.ready, `${key} starts before it is ready`)
    this.check(!isResident(held, load.model, load, this.now), `${key} starts although it is resident`)
    this.check(this.eligible(held, load), `${key} starts although something has to leave first`)
    this.check(!this.answers.get(load), `${key} starts after its answer`)
    this.started.set(load, this.step)
    this.refusals.delete(load)
  }

  private checkDrain(held: Held, loaded: LoadedModel): void {
    if (this.draining.has(loaded)) return
    this.draining.add(loaded)
    const name = `${held.models.backend} ${loaded.key}`
    this.check(!this.isPinned(held.models.backend, loaded.key), `${name} is drained and pinned`)
    this.check(!this.isLoading(held, loaded.key), `${name} is drained and loading`)
    if (this.picked.delete(name)) return
    const own = held.loads.queue.some(({ model }) => held.models.find(model) === loaded)
    this.check(own || this.asked === name, `${name} is drained for no reason`)
    this.check(!this.busy(held, loaded.key), `${name} is drained and busy`)
  }

  private checkUnload(held: Held, loaded: LoadedModel): void {
    const name = `${loaded.key} on ${held.models.backend}`
    this.check(loaded.draining, `${name} is unloaded without a drain`)
    this.check(!this.busy(held, loaded.key), `${name} is unloaded and busy`)
    this.check(!this.isPinned(held.models.backend, loaded.key), `${name} is unloaded and pinned`)
    this.check(!this.isLoading(held, loaded.key), `${name} is unloaded and loading`)
  }

  private answered(held: Held, load: Load, error: LoadError | undefined): void {
    const count = (this.answers.get(load) ?? 0) + 1
    this.answers.set(load, count)
    this.check(count === 1, `${load.model.key} is answered ${count} times`)
    const why = this.refusals.get(load)
    switch (error?.description) {
      case "no free memory":
        return this.check(!load.evicts && (why?.freeing.length ?? 0) > 0, `${load.model.key} is dropped for no reason`)
      case "no room in memory": {
        const since = Math.max(load.since, this.idleSince.get(held) ?? 0)
        const running = held.loads.running
        this.check(this.now - since >= limitMillis, `${load.model.key} fails too early`)
        this.check(
          running === undefined || this.started.get(running) === this.step,
          `${load.model.key} fails behind a running load`,
        )
        return
      }
      case "the backend left the fleet":
        return this.check(this.holdings.backends.get(held.models.backend) !== held, "the backend has not left")
    }
  }

  /** A listener that throws, or asks for more. */
  private listen(): void {
    this.fault("a listener")
    if (!this.wild || !this.chance(0.05)) return
    const on = this.oneOf(backends)
    const what = this.random()
    if (what < 0.4) this.ask(on, { evicts: this.chance(0.7) })
    else if (what < 0.6) this.uses.touch(on.id, this.oneOf(models))
    else if (what < 0.8) this.loop.look()
    else this.pin(on.id)
  }

  pin(id: string): void {
    const { key } = this.oneOf(models)
    this.pinned.push({ backend: id, key, pin: this.holdings.pins.add(id, key) })
  }

  /** After a step in which every backend was looked at and nothing threw: nothing is left undone. */
  checkSettled(): void {
    this.calls = 0
    for (const loaded of this.draining) if (!loaded.draining) this.draining.delete(loaded)
    for (const one of this.allocations) {
      if (one.current !== "resident" && one.current !== "draining") continue
      const all = this.holdings.backends.get(one.backend)?.models.loaded.values() ?? []
      const owned = Array.from(all).some(({ allocation }) => allocation === one)
      this.check(owned, `${one.model} on ${one.backend} is charged and not in memory`)
    }
    if (this.threw || this.wild) return
    for (const held of this.holdings.backends.values()) {
      if (held.loads.running !== undefined) continue
      let heldBack = false
      for (const load of held.loads.queue) {
        const name = `${load.model.key} on ${held.models.backend}`
        this.check(!isResident(held, load.model, load, this.now), `${name} waits although it is resident`)
        if (!this.eligible(held, load)) continue
        this.check(isManaged({ id: held.models.backend }), `${name} waits although nothing keeps it`)
        this.check(this.refusals.get(load)?.never !== true, `${name} waits although it never fits`)
        const fits = this.refusal({ id: held.models.backend }, load.model.key) === undefined
        this.check(!fits || heldBack, `${name} waits although it fits and no load holds it back`)
        const why = this.refusals.get(load)
        const refused = !heldBack && why !== undefined && why.freeing.length > 0
        if (refused && load.evicts) this.checkVictimless(load, why, name)
        if (why !== undefined && why.freeing.length > 0 && this.isBeingFreed(why)) heldBack = true
        const droppable = !load.evicts && (this.refusals.get(load)?.freeing.length ?? 0) > 0
        this.check(!droppable, `${name} waits although it may not evict`)
      }
    }
  }

  /** A load that waits for memory which is not being freed: the models that may make room would not be enough. */
  private checkVictimless(load: Load, why: NoRoom, name: string): void {
    if (this.isBeingFreed(why)) return
    const impatient = this.now - load.since >= patienceMillis
    let sum = this.charged(["draining"])
    for (const [id, held] of this.holdings.backends) {
      for (const loaded of held.models.loaded.values()) {
        if (loaded.draining || this.isPinned(id, loaded.key) || this.isLoading(held, loaded.key)) continue
        const rested = !this.busy(held, loaded.key) && held.models.restedMillis(loaded, this.now) >= idleMillis
        if (impatient || rested) { for (const { bytes } of loaded.allocation?.shares() ?? []) sum += bytes }
      }
    }
    this.check(sum < why.freeing[0]!.bytes, `${name} waits although models may be unloaded for it`)
  }

  /** Whether nothing waits, runs or drains. */
  isQuiet(): boolean {
    if (this.works.length > 0 || this.background.length > 0) return false
    for (const { loads, models: all } of this.holdings.backends.values()) {
      if (loads.running !== undefined || loads.queue.length > 0) return false
      for (const { draining } of all.loaded.values()) if (draining) return false
    }
    return true
  }

  /** After a reading. */
  checkOverdue(held: Held): void {
    if (this.threw || held.loads.running !== undefined) return
    for (const load of held.loads.queue) {
      const since = Math.max(load.since, this.idleSince.get(held) ?? 0)
      this.check(this.now - since < limitMillis, `${load.model.key} waits for ever`)
    }
  }
}
