/**
 * The loads of one backend: one at a time, in the order they were asked for, at most one of a set of weights, whatever names it has.
 *
 * @since 0.1.0
 */
import { Deferred, Effect } from "effect"
import type { Backend } from "../../../services/Fleet.ts"
import type { Model } from "../../../services/ModelCatalog.ts"
import { LoadError, type LoadRequest } from "../../../services/Residency.ts"
import type { Allocation, NoRoom, VramLedger } from "../../../services/VramLedger.ts"

/** A load that is queued or running. @category models @since 0.1.0 */
export interface Load {
  readonly model: Model
  readonly numCtx: number | undefined
  readonly contextMin: number | undefined
  readonly since: number
  readonly end: Deferred.Deferred<void, LoadError>
  /** Whether others may be unloaded for it. Those for which none may wait behind all for which some may. */
  evicts: boolean
  /** Whether it is known what it needs. */
  ready: boolean
}

/**
 * What a load does that finds no room: it keeps its place and lets others pass, it keeps them back, it is dropped as if it had never been asked for, or it has failed.
 *
 * @category models
 * @since 0.1.0
 */
export type Turn = "pass" | "hold" | "drop" | { readonly failed: string }

interface Failure {
  readonly error: LoadError
  readonly count: number
  readonly until: number
}

/** The first cool-down after a failed load; each further failure doubles it. */
const coolDownMillis = 1000
/** The longest cool-down. */
const coolDownMillisMax = 30_000
/** Weight of the newest load in the moving average. */
const smoothing = 0.3

/**
 * Queue, failures and learnt durations of one backend. Synchronous; `start` forks the load.
 *
 * @category models
 * @since 0.1.0
 */
export class Loads {
  readonly backend: Backend
  readonly ledger: VramLedger["Service"]
  readonly limitMillis: number
  readonly start: (load: Load, allocation: Allocation) => void
  /** Asked first: something may have to leave before the load can even be weighed. */
  readonly blocked: (load: Load) => boolean
  /** Whether somebody else has loaded it meanwhile. */
  readonly there: (load: Load) => boolean
  readonly over: (load: Load) => void
  readonly noRoom: (load: Load, why: NoRoom) => Turn
  readonly fail: (load: Load, description: string) => void
  readonly drop: (load: Load) => void
  /** Whether two names are of the same weights. */
  readonly same: (one: string, other: string) => boolean
  readonly queue: Array<Load> = []
  running: Load | undefined
  private idleSince = 0
  private readonly failures = new Map<string, Failure>()
  private readonly millis = new Map<string, number>()

  constructor(
    backend: Backend,
    ledger: VramLedger["Service"],
    limitMillis: number,
    owner: Pick<Loads, "start" | "blocked" | "there" | "over" | "noRoom" | "fail" | "drop" | "same">,
  ) {
    this.backend = backend
    this.ledger = ledger
    this.limitMillis = limitMillis
    this.start = owner.start
    this.blocked = owner.blocked
    this.there = owner.there
    this.over = owner.over
    this.noRoom = owner.noRoom
    this.fail = owner.fail
    this.drop = owner.drop
    this.same = owner.same
  }

  find(key: string): Load | undefined {
    if (this.running !== undefined && this.same(this.running.model.key, key)) return this.running
    for (const load of this.queue) if (this.same(load.model.key, key)) return load
    return undefined
  }

  enqueue(model: Model, { contextMin, evicts, numCtx }: LoadRequest, now: number): Load {
    const load: Load = {
      model,
      numCtx,
      contextMin,
      since: now,
      end: Deferred.makeUnsafe(),
      evicts: evicts ?? true,
      ready: true,
    }
    this.place(load)
    return load
  }

  /** Somebody real waits for it now. */
  promote(load: Load): void {
    if (load.evicts || load === this.running) return
    load.evicts = true
    this.queue.splice(this.queue.indexOf(load), 1)
    this.place(load)
  }

  private place(load: Load): void {
    const behind = load.evicts ? this.queue.findIndex(({ evicts }) => !evicts) : -1
    if (behind < 0) this.queue.push(load)
    else this.queue.splice(behind, 0, load)
  }

  /** Starts the first load that the ledger has room for, unless one is running. */
  pump(): void {
    if (this.running !== undefined) return
    // Also those behind a load that keeps others back: who waits for what is there waits for nothing.
    for (const load of this.queue.filter((each) => this.there(each))) {
      this.queue.splice(this.queue.indexOf(load), 1)
      this.over(load)
    }
    for (const load of this.queue.slice()) {
      if (!load.ready || this.blocked(load)) continue
      const reserved = this.ledger.reserve(this.backend, load.model, load.numCtx)
      if (!("_tag" in reserved)) {
        this.queue.splice(this.queue.indexOf(load), 1)
        this.running = load
        reserved.move("loading")
        return this.start(load, reserved)
      }
      const turn = this.noRoom(load, reserved)
      if (turn === "hold") return
      if (turn === "pass") continue
      this.queue.splice(this.queue.indexOf(load), 1)
      if (turn === "drop") this.drop(load)
      else this.fail(load, turn.failed)
    }
  }

  /** The running load is over. */
  ended(now: number): void {
    this.running = undefined
    this.idleSince = now
  }

  /** Takes the loads out that have found no room for too long. Those behind a load that runs only wait for their turn. */
  overdue(now: number): ReadonlyArray<Load> {
    if (this.running !== undefined) return []
    const late = this.queue.filter(({ since }) => now - Math.max(since, this.idleSince) >= this.limitMillis)
    for (const load of late) this.queue.splice(this.queue.indexOf(load), 1)
    return late
  }

  error(key: string, description: string, at: number, status?: number): LoadError {
    return new LoadError({ backend: this.backend.id, model: key, description, status, at })
  }

  succeeded(key: string, millis: number): void {
    for (const name of this.failures.keys()) if (this.same(name, key)) this.failures.delete(name)
    const before = this.millis.get(key)
    this.millis.set(key, before === undefined ? millis : before + smoothing * (millis - before))
  }

  /** Milliseconds until the model may be tried again here. */
  failed(error: LoadError): number {
    const count = (this.failureOf(error.model)?.count ?? 0) + 1
    const coolDown = Math.min(coolDownMillis * 2 ** (count - 1), coolDownMillisMax)
    this.failures.set(error.model, { error, count, until: error.at + coolDown })
    return coolDown
  }

  failure(key: string, now: () => number): LoadError | undefined {
    const failure = this.failureOf(key)
    return failure === undefined || now() >= failure.until ? undefined : failure.error
  }

  /** The newest one of the weights: under another name they are not tried again any sooner. */
  private failureOf(key: string): Failure | undefined {
    let newest: Failure | undefined
    for (const [name, failure] of this.failures) {
      if ((newest === undefined || failure.until > newest.until) && this.same(name, key)) newest = failure
    }
    return newest
  }

  learntMillis(key: string): number | undefined {
    return this.millis.get(key)
  }

  /** Ends a load for those who wait for it. */
  finish(load: Load, error: LoadError | undefined): void {
    Deferred.doneUnsafe(load.end, error === undefined ? Effect.void : Effect.fail(error))
  }
}
