/**
 * One of the two attempts that race for one reply.
 *
 * @since 0.1.0
 */
import type { Lease } from "../../services/Leases.ts"
import type { Refusal } from "../../services/Refusal.ts"
import type { ReplySink } from "../../services/Reply.ts"
import type { TransportError, Upstream } from "../../services/Transport.ts"

/** What a contender needs of its race. @internal */
export interface Contest {
  /** The client's reply. */
  readonly reply: ReplySink
  /** The contender that has the reply; `undefined` while none has. */
  readonly winner: Contender | undefined
  /** Gives the reply to a contender if no other has it. Returns whether this contender has the reply. */
  take(contender: Contender): boolean
  /** Ends the race with a refusal of one contender, unless another has the reply. */
  refuse(contender: Contender, why: Refusal): void
  /** Called with the status of the winner's answer. */
  answered(status: number): void
}

/**
 * The client's reply as one attempt sees it. The first of the two that has something for the client gets the reply;
 * what the other one writes is dropped.
 *
 * @internal
 */
export class Contender implements ReplySink {
  readonly contest: Contest
  readonly lease: Lease
  /** The running attempt, once it was sent. */
  running: Upstream | undefined = undefined
  /** Whether the attempt has ended or was aborted. */
  over = false
  constructor(contest: Contest, lease: Lease) {
    this.contest = contest
    this.lease = lease
  }
  private get hasReply(): boolean {
    return this.contest.winner === this
  }
  get committed(): boolean {
    return this.contest.reply.committed
  }
  get bytes(): number {
    return this.contest.reply.bytes
  }
  open(upstream: Upstream): void {
    if (this.contest.take(this)) this.contest.reply.open(upstream)
  }
  head(status: number, rawHeaders: ReadonlyArray<string>): void {
    if (!this.hasReply) return
    this.contest.answered(status)
    this.contest.reply.head(status, rawHeaders)
  }
  data(chunk: Uint8Array): void {
    if (this.hasReply) this.contest.reply.data(chunk)
  }
  end(): void {
    if (this.hasReply) this.contest.reply.end()
  }
  fail(error: TransportError): void {
    if (this.hasReply) this.contest.reply.fail(error)
  }
  refuse(why: Refusal): void {
    this.contest.refuse(this, why)
  }
  heartbeat(): void {
    this.contest.reply.heartbeat()
  }
  annotate(headers: ReadonlyArray<string>): void {
    this.contest.reply.annotate(headers)
  }
}
