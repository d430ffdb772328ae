/**
 * The loads of one backend that are queued or running.
 *
 * @since 0.1.0
 */
import { Deferred, Effect } from "effect"
import type { Backend } from "../../../services/Fleet.ts"
import type { Model } from "../../../services/ModelCatalog.ts"
import type { LoadError, LoadRequest } from "../../../services/Residency.ts"

/** A load that is queued or running. @category models @since 0.1.0 */
export interface Load {
  readonly model: Model
  readonly numCtx: number | undefined
  readonly contextMin: number | undefined
  /** When the load was asked for. */
  readonly since: number
  readonly end: Deferred.Deferred<void, LoadError>
  /** Whether other models may be unloaded for it. A load without this stands in the queue behind all loads with it. */
  evicts: boolean
  /** Whether the ledger has read what it has to know of the model. */
  ready: boolean
}

/** A function that tells whether two names are names of the same weights. @category models @since 0.1.0 */
export type SameWeights = (one: string, other: string) => boolean

/** How many loads are in the queues of all backends. @category models @since 0.1.0 */
export interface Waiting {
  loads: number
}

/**
 * The queue of one backend and its running load. There is at most one load for a set of weights, whatever name is
 * asked for. Holds data only: `decision.ts` decides what happens to it.
 *
 * @category models
 * @since 0.1.0
 */
export class Loads {
  readonly queue: Array<Load> = []
  running: Load | undefined
  private readonly same: SameWeights
  private readonly latest: () => Backend
  private readonly waiting: Waiting
  private idleSince = 0

  /** `latest` gives the backend as it is now: its devices and labels may change. */
  constructor(latest: () => Backend, same: SameWeights, waiting: Waiting = { loads: 0 }) {
    this.latest = latest
    this.same = same
    this.waiting = waiting
  }

  get backend(): Backend {
    return this.latest()
  }

  /** The load of a set of weights, under any of its names. */
  find(key: string): Load | undefined {
    if (this.running !== undefined && this.same(this.running.model.key, key)) return this.running
    if (this.queue.length === 0) return undefined
    return this.queue.find(({ model }) => this.same(model.key, key))
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

  /** A request waits for the load now, so other models may be unloaded for it. */
  promote(load: Load): void {
    if (load.evicts || load === this.running) return
    load.evicts = true
    this.remove(load)
    this.place(load)
  }

  private place(load: Load): void {
    const behind = load.evicts ? this.queue.findIndex(({ evicts }) => !evicts) : -1
    if (behind < 0) this.queue.push(load)
    else this.queue.splice(behind, 0, load)
    this.waiting.loads++
  }

  /** Takes a load out of the queue. */
  remove(load: Load): void {
    const index = this.queue.indexOf(load)
    if (index < 0) return
    this.queue.splice(index, 1)
    this.waiting.loads--
  }

  /** Moves a load from the queue to `running`. */
  begin(load: Load): void {
    this.remove(load)
    this.running = load
  }

  /** The running load has ended. */
  ended(now: number): void {
    this.running = undefined
    this.idleSince = now
  }

  /**
   * Milliseconds for which a queued load could have started, but found no room. Behind a running load no time counts.
   */
  millisWithoutRoom(load: Load, now: number): number {
    return now - Math.max(load.since, this.idleSince)
  }

  /** Answers every fiber that waits for the load. Only the first answer counts. */
  answer(load: Load, error: LoadError | undefined): void {
    Deferred.doneUnsafe(load.end, error === undefined ? Effect.void : Effect.fail(error))
  }
}
