/**
 * One request's two attempts: the first to have something for the client gets the client.
 *
 * @since 0.1.0
 */
import { type Clock, Result } from "effect"
import { isLease, type Lease, type Leases } from "../../services/Leases.ts"
import { hedged, unused } from "../../services/Outcome.ts"
import type { Placement } from "../../services/Placement.ts"
import type { Candidate, Hedging, RetryPolicy } from "../../services/Plugin.ts"
import type { Refusal } from "../../services/Refusal.ts"
import type { Attempt, Relay } from "../../services/Relay.ts"
import type { ReplySink } from "../../services/Reply.ts"
import type { Residency } from "../../services/Residency.ts"
import type { Demand } from "../../services/RoutedRequest.ts"
import type { Hedged, RouterEvents } from "../../services/RouterEvents.ts"
import type { Call, TransportError, Upstream } from "../../services/Transport.ts"
import type { Bag } from "../../support/bag.ts"
import type { Run } from "./run.ts"

/** What decides, where no attempt has failed but one is slow. */
const slow = { kind: "ignored", cause: "slow" } as const

/** @internal */
export interface Tools {
  readonly events: RouterEvents["Service"]
  readonly leases: Leases["Service"]
  readonly placement: Placement["Service"]
  readonly relay: Relay["Service"]
  readonly residency: Residency["Service"]
  readonly retry: RetryPolicy
  readonly hedging: Hedging
  /** An attempt has failed, and another one goes on. */
  readonly failed: (demand: Demand, backend: string, attempt: Attempt) => void
}

/** One request's attempts. @internal */
export interface Job {
  readonly run: Run
  readonly expect: Parameters<Relay["Service"]["run"]>[2]
  readonly reply: ReplySink
  readonly call: (lease: Lease, reply: ReplySink) => Call
}

/** The reply, for one attempt: silent once the other one has it. */
class Lane implements ReplySink {
  readonly race: Race
  readonly lease: Lease
  exchange: Upstream | undefined = undefined
  over = false
  constructor(race: Race, lease: Lease) {
    this.race = race
    this.lease = lease
  }
  private get mine(): boolean {
    return this.race.winner === this
  }
  get committed(): boolean {
    return this.race.job.reply.committed
  }
  get bytes(): number {
    return this.race.job.reply.bytes
  }
  /** The first to have something for the client gets the client. */
  open(upstream: Upstream): void {
    if (this.race.take(this)) this.race.job.reply.open(upstream)
  }
  head(status: number, rawHeaders: ReadonlyArray<string>): void {
    if (!this.mine) return
    this.race.answers(status)
    this.race.job.reply.head(status, rawHeaders)
  }
  data(chunk: Uint8Array): void {
    if (this.mine) this.race.job.reply.data(chunk)
  }
  end(): void {
    if (this.mine) this.race.job.reply.end()
  }
  fail(error: TransportError): void {
    if (this.mine) this.race.job.reply.fail(error)
  }
  refuse(why: Refusal): void {
    if (this.mine) this.race.job.reply.refuse(why)
  }
  heartbeat(): void {
    this.race.job.reply.heartbeat()
  }
  annotate(headers: ReadonlyArray<string>): void {
    this.race.job.reply.annotate(headers)
  }
}

/** @internal */
export class Race {
  slot = -1
  readonly job: Job
  readonly tools: Tools
  readonly clock: Clock.Clock
  readonly waiting: Bag<Race>
  readonly ended: (attempt: Attempt) => void
  readonly sentAt: number
  readonly first: Lane
  second: Lane | undefined = undefined
  winner: Lane | undefined = undefined
  hedgeAt = Infinity
  private reported = false

  constructor(
    job: Job,
    lease: Lease,
    tools: Tools,
    clock: Clock.Clock,
    waiting: Bag<Race>,
    ended: (attempt: Attempt) => void,
  ) {
    this.job = job
    this.tools = tools
    this.clock = clock
    this.waiting = waiting
    this.ended = ended
    this.sentAt = clock.currentTimeMillisUnsafe()
    this.first = new Lane(this, lease)
  }

  start(): void {
    this.send(this.first)
    if (this.first.over || this.winner !== undefined) return
    const after = this.tools.hedging.after(this.first.lease.demand, this.job.expect.streams)
    if (after === undefined) return
    this.hedgeAt = this.sentAt + after
    this.waiting.add(this)
  }

  private send(lane: Lane): void {
    const { call, expect } = this.job
    lane.exchange = this.tools.relay.start(
      lane.lease,
      call(lane.lease, lane),
      expect,
      lane,
      (attempt) => this.done(lane, attempt),
    )
  }

  /** The sweeper found it slow. At most once for a race. */
  hedge(now: number): void {
    this.waiting.remove(this)
    const { leases, placement, retry } = this.tools
    const { demand, backend } = this.first.lease
    const elsewhere: Demand = { ...demand, excluded: [...demand.excluded, backend.id] }
    const lease = leases.commit(this.warm(placement.rank(elsewhere, leases.view), elsewhere), elsewhere)
    if (!isLease(lease)) return this.report("nowhere")
    // The budget is asked last, so that none of it is spent in vain.
    const { run } = this.job
    if (retry.decide({ demand, backend: backend.id, outcome: slow, attempts: run.attempts }, now) !== "elsewhere") {
      lease.release(unused)
      return this.report("over-budget")
    }
    run.attempts++
    const lane = new Lane(this, lease)
    this.second = lane
    const sent = Result.try(() => this.send(lane))
    if (Result.isFailure(sent)) this.drop(lane)
  }

  /** Those that would answer without any load, and whose breaker has nothing to try out. */
  private *warm(ranked: Iterable<Candidate>, { model, numCtx }: Demand): Generator<Candidate> {
    for (const candidate of ranked) {
      const { view } = candidate
      if (view.residency(model) !== "resident" || view.breaker(model) !== "closed") continue
      if (this.tools.residency.serves(view.backend.id, model, numCtx) === true) yield candidate
    }
  }

  /** Whether the reply is this lane's, from now on alone. */
  take(lane: Lane): boolean {
    if (this.winner === undefined && !lane.over) {
      this.winner = lane
      this.waiting.remove(this)
      if (lane !== this.first) this.observe()
      const loser = lane === this.first ? this.second : this.first
      const aborted = loser === undefined || loser.over ? undefined : loser
      this.drop(loser)
      if (this.second !== undefined) this.report(lane === this.second ? "won" : "lost", aborted)
    }
    return this.winner === lane
  }

  /** The first attempt answers: how soon is worth remembering, unless it is an error. */
  answers(status: number): void {
    if (this.winner === this.first && status < 400) this.observe()
  }

  private observe(): void {
    const millis = this.clock.currentTimeMillisUnsafe() - this.sentAt
    this.tools.hedging.observed(this.first.lease.demand, this.job.expect.streams, millis)
  }

  /** Its lease first: what is aborted says nothing about its backend. */
  private drop(lane: Lane | undefined): void {
    if (lane === undefined || lane.over) return
    lane.over = true
    lane.lease.release(hedged)
    lane.exchange?.abort()
  }

  private done(lane: Lane, attempt: Attempt): void {
    if (lane.over) return
    lane.over = true
    const other = lane === this.first ? this.second : this.first
    const { id } = lane.lease.backend
    if (attempt._tag === "Retry" && other !== undefined && !other.over) {
      this.job.run.alsoFailed = [...this.job.run.alsoFailed, id]
      this.job.run.backend = other.lease.backend.id
      this.tools.failed(lane.lease.demand, id, attempt)
      if (lane === this.second) this.report("failed")
      return
    }
    this.waiting.remove(this)
    this.job.run.backend = id
    if (this.second !== undefined && this.winner === undefined) this.report("failed")
    this.ended(attempt)
  }

  /** The client has left. */
  leave(): void {
    this.waiting.remove(this)
    const lanes = this.second === undefined ? [this.first] : [this.first, this.second]
    const left = lanes.filter(({ over }) => !over)
    for (const lane of left) {
      lane.over = true
      lane.exchange?.abort()
    }
    if (this.second !== undefined) this.report("canceled", left[1])
  }

  /** The first of its ends is the one that counts. `aborted` went on beside the attempt that the request's own record tells of. */
  private report(result: Hedged["result"], aborted?: Lane): void {
    if (this.reported) return
    this.reported = true
    const { backend, demand } = this.first.lease
    this.tools.events.publish({
      _tag: "Hedged",
      at: this.clock.currentTimeMillisUnsafe(),
      id: demand.id,
      model: demand.model.key,
      first: backend.id,
      second: this.second?.lease.backend.id,
      aborted: aborted?.lease.backend.id,
      result,
    })
  }
}
