/**
 * Two attempts at one request. The first that has something for the client gets the reply; the other is aborted.
 *
 * @since 0.1.0
 */
import { type Clock, Result } from "effect"
import { isLease, type Lease, type Leases } from "../../services/Leases.ts"
import { hedged, unused } from "../../services/Outcome.ts"
import type { Placement } from "../../services/Placement.ts"
import type { Candidate, Hedging, RetryPolicy } from "../../services/Plugin.ts"
import type { Attempt, Relay } from "../../services/Relay.ts"
import type { Refusal } from "../../services/Refusal.ts"
import type { ReplySink } from "../../services/Reply.ts"
import type { Residency } from "../../services/Residency.ts"
import type { Demand } from "../../services/RoutedRequest.ts"
import type { Hedged, RouterEvents } from "../../services/RouterEvents.ts"
import type { Call } from "../../services/Transport.ts"
import type { Bag } from "../../support/bag.ts"
import { Contender, type Contest } from "./contender.ts"
import type { Run } from "./requestState.ts"
import * as TracedAttempts from "./tracedAttempts.ts"

/** The outcome that the retry policy is asked about: the first attempt has not failed, it is slow. */
const slow = { kind: "ignored", cause: "slow" } as const

/** What all races share. @internal */
export interface Tools {
  readonly events: RouterEvents["Service"]
  readonly leases: Leases["Service"]
  readonly placement: Placement["Service"]
  readonly relay: Relay["Service"]
  readonly residency: Residency["Service"]
  readonly retry: RetryPolicy
  readonly hedging: Hedging
  /** Called when one attempt has failed while the other goes on. */
  readonly failed: (run: Run, demand: Demand, backend: string, attempt: Attempt) => void
}

/** What both attempts of a race share. @internal */
export interface Job {
  readonly run: Run
  readonly expect: Parameters<Relay["Service"]["run"]>[2]
  readonly reply: ReplySink
  readonly call: (lease: Lease, reply: ReplySink) => Call
}

/** @internal */
export class Race implements Contest {
  slot = -1
  readonly job: Job
  readonly tools: Tools
  readonly clock: Clock.Clock
  readonly waiting: Bag<Race>
  readonly ended: (attempt: Attempt) => void
  readonly sentAt: number
  readonly first: Contender
  second: Contender | undefined = undefined
  winner: Contender | undefined = undefined
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
    this.first = new Contender(this, lease)
  }

  start(): void {
    this.send(this.first)
    if (this.first.over || this.winner !== undefined) return
    const after = this.tools.hedging.after(this.first.lease.demand, this.job.expect.streams)
    if (after === undefined) return
    this.hedgeAt = this.sentAt + after
    this.waiting.add(this)
  }

  private send(contender: Contender): void {
    const { call, expect } = this.job
    contender.running = this.tools.relay.start(
      contender.lease,
      call(contender.lease, contender),
      expect,
      contender,
      (attempt, firstByteAt) => {
        if (this.winner === undefined || this.winner === contender) this.job.run.firstByteAt = firstByteAt
        this.done(contender, attempt)
      },
    )
  }

  /** Starts the second attempt, at most once. The sweeper calls it when the first is slow. */
  hedge(now: number): void {
    this.waiting.remove(this)
    const { leases, placement, retry } = this.tools
    const { demand, backend } = this.first.lease
    const elsewhere: Demand = { ...demand, excluded: [...demand.excluded, backend.id] }
    const lease = leases.commit(this.warm(placement.rank(elsewhere, leases.view), elsewhere), elsewhere)
    if (!isLease(lease)) return this.report("nowhere")
    // Asked last: the policy counts a yes against its retry budget.
    const { run } = this.job
    const attempts = run.attempts - run.notOffered
    if (retry.decide({ demand, backend: backend.id, outcome: slow, attempts }, now) !== "elsewhere") {
      lease.release(unused)
      return this.report("over-budget")
    }
    run.attempts++
    const contender = new Contender(this, lease)
    this.second = contender
    const sent = Result.try(() => this.send(contender))
    if (Result.isFailure(sent)) this.drop(contender)
  }

  /** The candidates that hold the model with the right context, and whose breaker is closed. */
  private *warm(ranked: Iterable<Candidate>, { model, numCtx }: Demand): Generator<Candidate> {
    for (const candidate of ranked) {
      const { view } = candidate
      if (view.residency(model) !== "resident" || view.breaker(model) !== "closed") continue
      if (this.tools.residency.serves(view.backend.id, model, numCtx) === true) yield candidate
    }
  }

  get reply(): ReplySink {
    return this.job.reply
  }

  take(contender: Contender): boolean {
    if (this.winner === undefined && !contender.over) {
      this.winner = contender
      this.waiting.remove(this)
      if (contender !== this.first) this.observe()
      this.job.run.backend = contender.lease.backend.id
      const loser = this.otherThan(contender)
      const aborted = loser === undefined || loser.over ? undefined : loser
      this.drop(loser)
      if (this.second !== undefined) this.report(contender === this.second ? "won" : "lost", aborted)
    }
    return this.winner === contender
  }

  /** A limit of the whole request has passed: it ends with this refusal, and the other attempt with it. */
  refuse(contender: Contender, why: Refusal): void {
    if (this.winner === undefined && !contender.over) {
      this.winner = contender
      this.waiting.remove(this)
      const other = this.otherThan(contender)
      const aborted = other === undefined || other.over ? undefined : other
      this.drop(other)
      if (this.second !== undefined) this.report("failed", aborted)
    }
    if (this.winner === contender) this.reply.refuse(why)
  }

  private otherThan(contender: Contender): Contender | undefined {
    return contender === this.first ? this.second : this.first
  }

  /** Remembers how soon the first attempt answered, unless with an error. */
  answered(status: number): void {
    if (this.winner === this.first && status < 400) this.observe()
  }

  private observe(): void {
    const millis = this.clock.currentTimeMillisUnsafe() - this.sentAt
    this.tools.hedging.observed(this.first.lease.demand, this.job.expect.streams, millis)
  }

  /** Aborts an attempt. The lease is released first: an abort must not count against the backend. */
  private drop(contender: Contender | undefined): void {
    if (contender === undefined || contender.over) return
    contender.over = true
    const { backend } = contender.lease
    TracedAttempts.ended(this.job.run.trace, backend.id, hedged, undefined, this.clock.currentTimeMillisUnsafe())
    contender.lease.release(hedged)
    contender.running?.abort()
  }

  private done(contender: Contender, attempt: Attempt): void {
    if (contender.over) return
    contender.over = true
    const other = this.otherThan(contender)
    const { id } = contender.lease.backend
    if (attempt._tag === "Retry" && other !== undefined && !other.over) {
      this.job.run.alsoFailed = [...this.job.run.alsoFailed, id]
      this.job.run.backend = other.lease.backend.id
      this.tools.failed(this.job.run, contender.lease.demand, id, attempt)
      if (contender === this.second) this.report("failed")
      return
    }
    this.waiting.remove(this)
    // However the race ends, nothing of it goes on: nobody would end the other attempt, nor release its lease.
    this.drop(other)
    this.job.run.backend = id
    if (this.second !== undefined && this.winner === undefined) this.report("failed")
    this.ended(attempt)
  }

  /** Aborts all attempts, when the client has left. */
  leave(): void {
    this.waiting.remove(this)
    const contenders = this.second === undefined ? [this.first] : [this.first, this.second]
    const left = contenders.filter(({ over }) => !over)
    for (const contender of left) {
      contender.over = true
      contender.running?.abort()
    }
    if (this.second !== undefined) this.report("canceled", left[1])
  }

  /**
   * Publishes how the race ended, once. `aborted` is the attempt that was aborted; the request's own event tells of the
   * other one.
   */
  private report(result: Hedged["result"], aborted?: Contender): void {
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
