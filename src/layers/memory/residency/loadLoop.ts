/**
 * Carries out what `decision.ts` decides. This is the only place that changes the loads and drains of a backend.
 *
 * @since 0.1.0
 */
import { Effect, Result } from "effect"
import type { Model } from "../../../services/ModelCatalog.ts"
import type { LoadEnd, LoadError } from "../../../services/Residency.ts"
import type { Allocation } from "../../../services/VramLedger.ts"
import { type Action, decide, type Event } from "./decision.ts"
import type { Held, Holdings } from "./holdings.ts"
import type { LoadedModel } from "./loadedModel.ts"
import type { Load } from "./loadQueue.ts"
import { candidatesOf, chargedOf, type Sources, stateOf } from "./snapshot.ts"

/** What has to be done at a backend. It takes time; its end comes back as an event. @category models @since 0.1.0 */
export type Work =
  | { readonly _tag: "Load"; readonly held: Held; readonly load: Load; readonly allocation: Allocation }
  /** Report `UnloadDue`, but not before the current synchronous step is over. */
  | { readonly _tag: "Drain"; readonly held: Held; readonly loaded: LoadedModel }
  | { readonly _tag: "Unload"; readonly held: Held; readonly loaded: LoadedModel }

/** How a load ended. @category models @since 0.1.0 */
export interface Ending {
  readonly millis: number
  readonly error: LoadError | undefined
  readonly spilled?: boolean | undefined
}

/**
 * The loop over events. An event may be reported at any time. A listener or a ledger that the loop has called may
 * report one too: the event then waits until the current step is over. A step changes only the router's own state and
 * the ledger. Waiters and listeners are told after the step. When other code throws, the loop logs that and goes on.
 *
 * @category models
 * @since 0.1.0
 */
export class LoadLoop {
  private readonly holdings: Sources & Pick<Holdings, "evicted" | "listeners" | "run" | "waiting">
  private readonly work: (work: Work) => void
  private readonly events: Array<{ readonly held: Held; readonly event: Event }> = []
  /** Calls of waiters and listeners, to be made after the current step. */
  private readonly notices: Array<() => void> = []
  /** Whether the loads of every backend have to be looked at. */
  private lookWanted = false
  private running = false

  /** `work` starts work at a backend and returns at once. */
  constructor(
    holdings: Sources & Pick<Holdings, "evicted" | "listeners" | "run" | "waiting">,
    work: (work: Work) => void,
  ) {
    this.holdings = holdings
    this.work = work
  }

  /** Reports what happened on one backend. */
  happened(held: Held, event: Event): void {
    this.events.push({ held, event })
    this.run()
  }

  /** Looks at the waiting loads of every backend: backends may share a device, so a change on one may help another. */
  look(): void {
    this.lookWanted = true
    this.run()
  }

  /** A load was put into a queue. */
  requested(): void {
    this.look()
    this.changed()
    this.run()
  }

  /** The running load of a backend has ended. */
  ended(held: Held, load: Load, ending: Ending): void {
    held.loads.ended(this.holdings.now())
    this.conclude(held, load, ending)
    this.run()
  }

  /** Drains a model that may be unloaded; returns whether it may. */
  unload(held: Held, model: Model): boolean {
    const loaded = held.models.find(model)
    if (loaded === undefined) return false
    const event: Event = { _tag: "UnloadAsked", model: loaded.key }
    const may = decide(stateOf(this.holdings, held, new Set()), event).length > 0
    if (may) this.happened(held, event)
    return may
  }

  /** A request that used the model has ended. By now the model may have another name in memory. */
  rested(held: Held, { key }: LoadedModel): void {
    for (const loaded of held.models.loaded.values()) {
      if (!loaded.draining) continue
      // The decision checks whether the model is idle, so it is safe to report a model that is not.
      const same = this.holdings.contained("comparing names", () => held.models.same(loaded.key, key), true)
      if (same) this.work({ _tag: "Drain", held, loaded })
    }
  }

  private run(): void {
    if (this.running) return
    this.running = true
    while (this.holdings.contained("a decision on loads", () => this.turn(), true)) { /* until nothing is left */ }
    this.running = false
  }

  /** Does one thing; `false` when there is nothing to do. */
  private turn(): boolean {
    const notice = this.notices.shift()
    if (notice !== undefined) {
      notice()
      return true
    }
    const next = this.events.shift()
    if (next !== undefined) {
      this.step(next.held, next.event)
      return true
    }
    if (!this.lookWanted) return false
    this.lookWanted = false
    if (this.holdings.waiting.loads === 0) return true
    // An event for each backend: when the step of one throws, the others are looked at all the same.
    for (const held of this.holdings.backends.values()) {
      if (held.loads.queue.length > 0) this.events.push({ held, event: { _tag: "Changed" } })
    }
    return true
  }

  /** Decides on an event, and on what follows from the actions. */
  private step(held: Held, first: Event): void {
    const tried = new Set<string>()
    let event: Event | undefined = first
    while (event !== undefined) {
      const actions: ReadonlyArray<Action> = decide(stateOf(this.holdings, held, tried), event)
      event = undefined
      for (const action of actions) {
        if (action._tag === "Start") event = this.start(held, action.model, tried)
        else this.carryOut(held, action)
      }
    }
  }

  private carryOut(held: Held, action: Exclude<Action, { readonly _tag: "Start" }>): void {
    const { backends, now, run } = this.holdings
    switch (action._tag) {
      case "Warn":
        return run(Effect.logWarning(action.message, action.defect))
      case "Drain":
        if (action.backend === undefined) this.drain(held, action.model)
        else this.evict(backends.get(action.backend), action.model)
        return
      case "Unload": {
        const loaded = held.models.loaded.get(action.model)
        return loaded === undefined ? undefined : this.work({ _tag: "Unload", held, loaded })
      }
      case "Keep":
        return this.keep(held, action.model)
    }
    const load = held.loads.queue.find(({ model }) => model.key === action.model)
    if (load === undefined) return
    held.loads.remove(load)
    if (action._tag === "Done") return this.conclude(held, load, { millis: 0, error: undefined })
    const status = action._tag === "Fail" ? action.status : undefined
    const error = held.history.error(load.model.key, action.description, now(), status)
    if (action._tag === "Fail") return this.conclude(held, load, { millis: now() - load.since, error })
    this.notices.push(() => held.loads.answer(load, error))
    this.changed()
  }

  /** Reserves memory for a load and starts it; else returns why it cannot start. */
  private start(held: Held, model: string, tried: Set<string>): Event | undefined {
    const { contained, ledger } = this.holdings
    const { loads } = held
    const load = loads.queue.find((each) => each.model.key === model)
    if (load === undefined) return undefined
    tried.add(model)
    const answer = Result.try((): Allocation | Event => {
      const reserved = ledger.reserve(loads.backend, load.model, load.numCtx)
      if (!("_tag" in reserved)) return reserved
      const [candidates, allocations] = [candidatesOf(this.holdings), chargedOf(this.holdings)]
      return { _tag: "Refused", model, why: reserved, candidates, allocations }
    })
    if (Result.isFailure(answer)) return { _tag: "Defect", model, description: String(answer.failure) }
    const allocation = answer.success
    if ("_tag" in allocation) return allocation
    loads.begin(load)
    contained("Allocation.move", () => allocation.move("loading"), undefined)
    this.work({ _tag: "Load", held, load, allocation })
    return undefined
  }

  /** A model makes room for another one. */
  private evict(held: Held | undefined, key: string): void {
    if (held !== undefined && this.drain(held, key)) this.holdings.evicted(held.loads.backend.id, key)
  }

  /** Whether it drains the model now, and did not before. */
  private drain(held: Held, key: string): boolean {
    const loaded = held.models.loaded.get(key)
    if (loaded === undefined || loaded.draining) return false
    loaded.draining = true
    this.holdings.contained("Allocation.move", () => loaded.allocation?.move("draining"), undefined)
    this.work({ _tag: "Drain", held, loaded })
    this.changed()
    return true
  }

  private keep(held: Held, key: string): void {
    const loaded = held.models.loaded.get(key)
    if (loaded === undefined || !loaded.draining) return
    loaded.draining = false
    this.holdings.contained("Allocation.move", () => loaded.allocation?.move("resident"), undefined)
    this.changed()
    this.lookWanted = true
  }

  /** Ends a load: its waiters get their one answer, listeners hear of it, and other loads are looked at. */
  private conclude(held: Held, load: Load, { error, millis, spilled = false }: Ending): void {
    const { contained, run } = this.holdings
    const { backend } = held.loads
    const model = load.model.key
    if (error !== undefined) {
      const coolDown = contained("counting a failed load", () => held.history.failed(error), 0)
      // Requests that wait for the model look again when it may be tried again.
      run(Effect.andThen(Effect.sleep(coolDown), Effect.sync(() => this.tell(undefined))))
    }
    this.notices.push(() => {
      held.loads.answer(load, error)
      this.tell({ backend: backend.id, model, millis, error, spilled })
    })
    this.lookWanted = true
  }

  private changed(): void {
    this.notices.push(() => this.tell(undefined))
  }

  private tell(end: LoadEnd | undefined): void {
    this.holdings.listeners.notify(end)
  }
}
