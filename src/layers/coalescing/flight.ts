/**
 * One answer and the clients that share it.
 *
 * @since 0.1.0
 */
import { Effect, Exit } from "effect"
import type { Lead } from "../../services/Coalescer.ts"
import type { Refusal } from "../../services/Refusal.ts"
import type { ReplySink } from "../../services/Reply.ts"
import type { Demand, QueuePlace, RoutedRequest } from "../../services/RoutedRequest.ts"
import type { Settled } from "../../services/Router.ts"
import { TransportError, type Upstream } from "../../services/Transport.ts"
import { Bag, type Slotted } from "../../support/bag.ts"
import { improve, live, type LiveDemand } from "./demand.ts"
import type { Identity } from "./key.ts"

/** @internal */
export interface Limits {
  /** Bytes of an answer after which nobody may join. */
  readonly replayBytes: number
  /** Bytes a client may be behind the others. */
  readonly behindBytes: number
}

/** How the waiting of one client ends. @internal */
export type Resume = (ended: Effect.Effect<Settled, Refusal>) => void

/** The upstream call that brings a flight its answer. @internal */
export interface Carrier {
  /** Nobody wants the flight's answer any more. */
  readonly empty: (flight: Flight) => void
  /** A client has joined. */
  readonly improve: (demand: Demand) => void
}

/** A client of a flight, as the upstream that its reply sees. @internal */
export class Member implements Upstream, Slotted {
  slot = -1
  readonly flight: Flight
  readonly reply: ReplySink
  readonly resumes: Resume
  /** Number of the chunk that comes next for it, and bytes that it has had. */
  next = 0
  sent = 0
  full = false
  /** Whoever joins late begins behind. */
  readonly behindMax: number

  constructor(flight: Flight, reply: ReplySink, resumes: Resume, behindMax: number) {
    this.flight = flight
    this.reply = reply
    this.resumes = resumes
    this.behindMax = behindMax
  }

  pause(): void {
    this.full = true
    this.flight.throttle()
  }

  resume(): void {
    // One that has left, or was cut off, hears nothing more.
    if (!this.full || this.slot < 0) return
    this.full = false
    this.flight.deliver(this)
    this.flight.throttle()
  }

  abort(): void {
    this.flight.leave(this)
  }
}

/** A client that was cut off while the flight goes on. */
const stalled: Settled = {
  result: "answered",
  status: 200,
  refusal: undefined,
  outcome: { kind: "ignored", cause: "client-stalled" },
  backend: undefined,
  attempts: 0,
  queuedMillis: 0,
  coalesced: "identical",
}

/** Takes an answer once and gives it to every member: what was already sent, then each byte as it comes. @internal */
export class Flight implements ReplySink, Slotted {
  slot = -1
  readonly key: string
  readonly identity: Identity
  readonly request: RoutedRequest
  readonly lead: Lead
  readonly demand: LiveDemand
  readonly members = new Bag<Member>()
  carrier: Carrier | undefined = undefined
  bytes = 0
  private readonly limits: Limits
  private readonly onClose: (flight: Flight) => void
  private upstream: Upstream | undefined = undefined
  private paused = false
  private readonly annotations: Array<string> = []
  private status = 0
  private rawHeaders: ReadonlyArray<string> = []
  /** Chunks from number `first` on. */
  private readonly log: Array<Uint8Array> = []
  private first = 0
  private joinable = true
  private ended = false

  constructor(
    request: RoutedRequest,
    identity: Identity,
    demand: Demand,
    lead: Lead,
    limits: Limits,
    onClose: (flight: Flight) => void,
  ) {
    this.request = request
    this.identity = identity
    this.key = identity.key
    this.demand = live(demand)
    this.lead = lead
    this.limits = limits
    this.onClose = onClose
  }

  get committed(): boolean {
    return this.members.find(({ reply }) => reply.committed) !== undefined
  }

  /** Bytes kept for clients that join late or read slowly. */
  get held(): number {
    return this.log.reduce((sum, chunk) => sum + chunk.length, 0)
  }

  enter(reply: ReplySink, resume: Resume): Member {
    const member = new Member(this, reply, resume, this.limits.behindBytes + this.bytes)
    this.members.add(member)
    if (this.annotations.length > 0) reply.annotate(this.annotations)
    if (this.upstream !== undefined) reply.open(member)
    if (this.status !== 0) reply.head(this.status, this.rawHeaders)
    this.deliver(member)
    this.throttle()
    return member
  }

  /** A client that joins brings its own urgency. */
  improve(demand: Demand): void {
    improve(this.demand, demand)
    this.carrier?.improve(demand)
  }

  leave(member: Member): void {
    if (!this.members.remove(member)) return
    if (this.members.size > 0) return this.throttle()
    this.close()
    this.carrier?.empty(this)
  }

  open(upstream: Upstream): void {
    this.upstream = upstream
    if (this.members.size === 0) return upstream.abort()
    for (const member of this.members.snapshot()) member.reply.open(member)
    this.throttle()
  }

  head(status: number, rawHeaders: ReadonlyArray<string>): void {
    this.status = status
    this.rawHeaders = rawHeaders
    for (const { reply } of this.members.snapshot()) reply.head(status, rawHeaders)
  }

  data(chunk: Uint8Array): void {
    if (this.ended) return
    this.log.push(chunk)
    this.bytes += chunk.length
    if (this.bytes > this.limits.replayBytes) this.close()
    for (const member of this.members.snapshot()) this.deliver(member)
    this.cutLaggards()
    this.trim()
    this.throttle()
  }

  end(): void {
    this.finish((reply) => reply.end())
  }

  fail(error: TransportError): void {
    this.finish((reply) => reply.fail(error))
  }

  refuse(why: Refusal): void {
    this.finish((reply) => reply.refuse(why))
  }

  /** The first one: once it is committed, a client's own request gives it the others. */
  heartbeat(place?: QueuePlace): void {
    for (const { reply } of this.members.snapshot()) if (!reply.committed) reply.heartbeat(place)
  }

  annotate(headers: ReadonlyArray<string>): void {
    this.annotations.push(...headers)
    for (const { reply } of this.members.snapshot()) reply.annotate(headers)
  }

  /** Tells each how it ended. The attempts stand in the record of one. */
  settle(exit: Exit.Exit<Settled, Refusal>, coalesced: Settled["coalesced"]): void {
    this.close()
    let how = coalesced
    for (const { resumes } of this.members.snapshot()) {
      resumes(how === undefined ? exit : Exit.map(exit, (settled) => ({ ...settled, attempts: 0, coalesced: how })))
      how = "identical"
    }
    this.members.clear()
  }

  /** As far as the member takes it. */
  deliver(member: Member): void {
    while (!member.full && this.hasMore(member)) this.give(member)
  }

  /** The upstream rests only while nobody takes anything. */
  throttle(): void {
    const full = this.members.size > 0 && this.members.find((member) => !member.full) === undefined
    if (full === this.paused || this.upstream === undefined || this.ended) return
    this.paused = full
    if (full) this.upstream.pause()
    else this.upstream.resume()
  }

  /** From now on the next one of its kind leads a flight of its own. */
  close(): void {
    if (!this.joinable) return
    this.joinable = false
    this.onClose(this)
  }

  private hasMore(member: Member): boolean {
    return member.next < this.first + this.log.length
  }

  private give(member: Member): void {
    const chunk = this.log[member.next - this.first]!
    // Counted first: the reply may ask for more before it returns.
    member.next++
    member.sent += chunk.length
    member.reply.data(chunk)
  }

  /** What is left fits in the replies: nobody is further behind than the limits say. */
  private finish(last: (reply: ReplySink) => void): void {
    if (this.ended) return
    this.ended = true
    this.close()
    for (const member of this.members.snapshot()) {
      while (this.hasMore(member)) this.give(member)
      last(member.reply)
    }
    this.log.length = 0
  }

  private cutLaggards(): void {
    const behind = (member: Member) => this.bytes - member.sent > member.behindMax
    // While all are full the upstream rests, and nobody holds up anybody.
    if (this.members.find(behind) === undefined || this.members.find(({ full }) => !full) === undefined) return
    for (const member of this.members.snapshot()) if (behind(member)) this.cut(member)
  }

  private cut(member: Member): void {
    this.members.remove(member)
    member.reply.fail(
      new TransportError({ reason: "Timeout", backend: "", description: "the client reads too slowly" }),
    )
    member.resumes(Effect.succeed({ ...stalled, status: this.status }))
  }

  /** Once nobody may join, what all have had is not needed any more. */
  private trim(): void {
    if (this.joinable) return
    let least = this.first + this.log.length
    for (const { next } of this.members.snapshot()) least = Math.min(least, next)
    if (least > this.first) this.log.splice(0, least - this.first)
    this.first = least
  }
}
