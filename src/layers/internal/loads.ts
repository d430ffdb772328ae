/**
 * The loads of one backend: one at a time, in the order they were asked for, at most one of a model.
 *
 * @since 0.1.0
 */
import { Deferred, Effect } from "effect"
import type { Backend } from "../../services/Fleet.ts"
import type { Model } from "../../services/ModelCatalog.ts"
import { LoadError } from "../../services/Residency.ts"
import type { Allocation, VramLedger } from "../../services/VramLedger.ts"

/** A load that is queued or running. @category models @since 0.1.0 */
export interface Load {
  readonly model: Model
  readonly numCtx: number | undefined
  readonly since: number
  readonly end: Deferred.Deferred<void, LoadError>
}

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
  readonly queue: Array<Load> = []
  running: Load | undefined
  private idleSince = 0
  private readonly failures = new Map<string, Failure>()
  private readonly millis = new Map<string, number>()

  constructor(
    backend: Backend,
    ledger: VramLedger["Service"],
    limitMillis: number,
    start: (load: Load, allocation: Allocation) => void,
  ) {
    this.backend = backend
    this.ledger = ledger
    this.limitMillis = limitMillis
    this.start = start
  }

  find(key: string): Load | undefined {
    if (this.running?.model.key === key) return this.running
    for (const load of this.queue) if (load.model.key === key) return load
    return undefined
  }

  enqueue(model: Model, numCtx: number | undefined, now: number): Load {
    const load: Load = { model, numCtx, since: now, end: Deferred.makeUnsafe() }
    this.queue.push(load)
    return load
  }

  /** Starts the first load that the ledger has room for, unless one is running. */
  pump(): void {
    if (this.running !== undefined) return
    for (let i = 0; i < this.queue.length; i++) {
      const load = this.queue[i]!
      const reserved = this.ledger.reserve(this.backend, load.model.key)
      if ("_tag" in reserved) continue
      this.queue.splice(i, 1)
      this.running = load
      reserved.move("loading")
      return this.start(load, reserved)
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
    this.failures.delete(key)
    const before = this.millis.get(key)
    this.millis.set(key, before === undefined ? millis : before + smoothing * (millis - before))
  }

  /** Milliseconds until the model may be tried again here. */
  failed(error: LoadError): number {
    const count = (this.failures.get(error.model)?.count ?? 0) + 1
    const coolDown = Math.min(coolDownMillis * 2 ** (count - 1), coolDownMillisMax)
    this.failures.set(error.model, { error, count, until: error.at + coolDown })
    return coolDown
  }

  failure(key: string, now: () => number): LoadError | undefined {
    const failure = this.failures.get(key)
    return failure === undefined || now() >= failure.until ? undefined : failure.error
  }

  learntMillis(key: string): number | undefined {
    return this.millis.get(key)
  }

  /** Ends a load for those who wait for it. */
  finish(load: Load, error: LoadError | undefined): void {
    Deferred.doneUnsafe(load.end, error === undefined ? Effect.void : Effect.fail(error))
  }
}
