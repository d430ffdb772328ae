/**
 * One request that waits in a queue.
 *
 * @since 0.1.0
 */
import { Effect } from "effect"
import type { Commit, Lease } from "../../services/Leases.ts"
import type { Refusal } from "../../services/Refusal.ts"
import type { Demand, QueueEntry, QueuePlace } from "../../services/RoutedRequest.ts"
import type { Slotted } from "../../support/bag.ts"

/** The part of a model's queue that a waiter reads. @category models @since 0.1.0 */
export interface Home {
  /** Whether every request in the queue waits for a load. */
  readonly loading: boolean
  /** Number of the latest pass over the queue. */
  readonly round: number
  place(waiter: Waiter, now: number): QueuePlace
}

/** What a waiter is made from. @category models @since 0.1.0 */
export interface Arrival {
  readonly demand: Demand
  /** Asks for a lease. It is told how many requests wait for the model, this one included. */
  readonly commit: (waiting: number) => Commit
  readonly home: Home
  /** The number of requests that have begun to wait so far, this one included. */
  readonly number: number
  /** When it began to wait, by the router's clock, in milliseconds. */
  readonly at: number
}

/**
 * A request that waits. A queue reads `demand` and `number`; the other fields belong to the protocol.
 *
 * @category models
 * @since 0.1.0
 */
export class Waiter implements QueueEntry, Slotted {
  readonly demand: Demand
  /** Larger for a request that began to wait later. */
  readonly number: number
  readonly commit: (waiting: number) => Commit
  /** Its slot in the bag of waiting requests; -1 once it has left. */
  slot = -1
  /** Set when the request is admitted, until its fiber takes it. */
  lease: Lease | undefined = undefined
  /** The latest pass in which this request was found to wait for a load. */
  loadingRound = -1
  private readonly home: Home
  private result: Effect.Effect<void, Refusal> | undefined = undefined
  private wake: ((result: Effect.Effect<void, Refusal>) => void) | undefined = undefined

  constructor({ commit, demand, home, number }: Arrival) {
    this.demand = demand
    this.number = number
    this.commit = commit
    this.home = home
  }

  /** Whether the request still waits. */
  get isWaiting(): boolean {
    return this.slot >= 0
  }

  get loading(): boolean {
    return this.home.loading || this.loadingRound === this.home.round
  }

  place(now: number): QueuePlace {
    return this.home.place(this, now)
  }

  /** Succeeds when the request has its lease; fails when it is refused. */
  turn(): Effect.Effect<void, Refusal> {
    return Effect.callback((resume) => {
      if (this.result !== undefined) resume(this.result)
      else this.wake = resume
    })
  }

  /** Ends the turn. */
  settle(result: Effect.Effect<void, Refusal>): void {
    this.result = result
    this.wake?.(result)
  }
}

/** Whether `a` arrived before `b`. A retry keeps the arrival of its request. @category ordering @since 0.1.0 */
export const isEarlier = (a: Waiter, b: Waiter): boolean =>
  a.demand.since < b.demand.since || (a.demand.since === b.demand.since && a.number < b.number)

/**
 * What a request asks for. A commit that says `loading` for one request says it for all of the same kind: they belong
 * to one tenant and ask for the same. `undefined` for a retry, which is like no other.
 *
 * @category ordering
 * @since 0.1.0
 */
export const kindOf = ({ demand: { excluded, kind, loads, numCtx, tenant } }: Waiter): string | undefined =>
  excluded.length === 0 ? `${kind} ${loads} ${numCtx ?? ""} ${tenant}` : undefined
