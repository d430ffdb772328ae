/**
 * One waiting request.
 *
 * @since 0.1.0
 */
import { Effect } from "effect"
import type { Commit, Lease } from "../../services/Leases.ts"
import type { Refusal } from "../../services/Refusal.ts"
import type { Demand, QueueEntry, QueuePlace } from "../../services/RoutedRequest.ts"
import type { Placed } from "../../support/heap.ts"
import type { Flow } from "./fairQueue.ts"
import type { WaitingLine } from "./waitingLine.ts"

/** @category models @since 0.1.0 */
export class Entry implements Placed, QueueEntry {
  index = -1
  /** Where it waits; `undefined` once it has left. */
  flow: Flow | undefined = undefined
  /** Of its line: smaller goes first. Falls as it ages. */
  rank: number
  /** Round of its line in which its own commit said that it waits for a load. */
  loadingRound = -1
  lease: Lease | undefined = undefined
  readonly line: WaitingLine
  readonly demand: Demand
  readonly commit: (waiting: number) => Commit
  /** Orders arrivals within a millisecond. */
  readonly seq: number
  private result: Effect.Effect<void, Refusal> | undefined = undefined
  private wake: ((result: Effect.Effect<void, Refusal>) => void) | undefined = undefined

  constructor(line: WaitingLine, demand: Demand, commit: (waiting: number) => Commit, rank: number, seq: number) {
    this.line = line
    this.demand = demand
    this.commit = commit
    this.rank = rank
    this.seq = seq
  }

  /** Ends when the entry has its lease, or is refused. */
  readonly turn = Effect.callback<void, Refusal>((resume) => {
    if (this.result !== undefined) resume(this.result)
    else this.wake = resume
  })

  get loading(): boolean {
    return this.line.loading || this.loadingRound === this.line.round
  }

  place(now: number): QueuePlace {
    const ahead = this.line.ahead(this.demand.tenant, this.rank, this)
    return { position: ahead + 1, waitMillis: this.line.waitMillis(ahead, now) }
  }

  settle(result: Effect.Effect<void, Refusal>): void {
    this.result = result
    this.wake?.(result)
  }
}

/** By arrival: a retry is as old as its request. @category ordering @since 0.1.0 */
export const earlier = (a: Entry, b: Entry): boolean =>
  a.demand.since < b.demand.since || (a.demand.since === b.demand.since && a.seq < b.seq)

/** Whether a commit would say of one what it has said of the other: they are of one tenant and ask for the same. @category ordering @since 0.1.0 */
export const alike = ({ demand: a }: Entry, { demand: b }: Entry): boolean =>
  a.tenant === b.tenant && a.numCtx === b.numCtx && a.loads === b.loads && a.kind === b.kind &&
  a.excluded.length === 0 && b.excluded.length === 0

/** Whether it has waited too long. @category deadlines @since 0.1.0 */
export const expired = ({ demand }: Entry, now: number): boolean =>
  demand.deadline !== undefined && now >= demand.deadline

/** It has waited for a load for so long, which does not count. @category deadlines @since 0.1.0 */
export const slipped = ({ demand }: Entry, millis: number): void => {
  if (demand.deadline !== undefined) demand.deadline += millis
}
