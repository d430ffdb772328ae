/**
 * One answer and the clients that share it.
 *
 * @since 0.1.0
 */
import { Exit } from "effect"
import type { Lead } from "../../services/Coalescer.ts"
import type { Refusal } from "../../services/Refusal.ts"
import type { ReplySink } from "../../services/Reply.ts"
import type { Demand, QueuePlace, RoutedRequest } from "../../services/RoutedRequest.ts"
import type { Settled } from "../../services/Router.ts"
import type { TransportError, Upstream } from "../../services/Transport.ts"
import { Bag, type Slotted } from "../../support/bag.ts"
import { ChunkLog } from "./chunkLog.ts"
import { improve, live, type LiveDemand } from "./demand.ts"
import type { Identity } from "./key.ts"
import { Participant, type Resume, type Shared } from "./participant.ts"

/** @internal */
export interface Limits {
  /** Bytes of an answer after which no client may join. */
  readonly replayBytes: number
  /** Bytes that a client may be behind the answer. */
  readonly behindBytes: number
}

/** The upstream call that brings a flight its answer. @internal */
export interface Carrier {
  /** The last client of the flight has left. */
  readonly empty: (flight: Flight) => void
  /** A client with this demand has joined. */
  readonly improve: (demand: Demand) => void
}

/**
 * Takes an answer once and gives it to every participant: first the bytes that came before it joined, then each byte
 * as it comes.
 *
 * @internal
 */
export class Flight implements ReplySink, Shared, Slotted {
  slot = -1
  readonly key: string
  readonly identity: Identity
  readonly request: RoutedRequest
  readonly lead: Lead
  readonly demand: LiveDemand
  readonly participants: Bag<Participant> = new Bag()
  carrier: Carrier | undefined = undefined
  bytes = 0
  private readonly limits: Limits
  private readonly onClose: (flight: Flight) => void
  private upstream: Upstream | undefined = undefined
  private paused = false
  private readonly annotations: Array<string> = []
  private status = 0
  private rawHeaders: ReadonlyArray<string> = []
  private readonly log = new ChunkLog()
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
    return this.participants.find(({ reply }) => reply.committed) !== undefined
  }

  /** Bytes kept for clients that join late or read slowly. */
  get held(): number {
    return this.log.held
  }

  enter(reply: ReplySink, resume: Resume): Participant {
    const participant = new Participant(this, reply, resume, this.limits.behindBytes + this.bytes)
    this.participants.add(participant)
    if (this.annotations.length > 0) reply.annotate(this.annotations)
    if (this.upstream !== undefined) reply.open(participant)
    if (this.status !== 0) reply.head(this.status, this.rawHeaders)
    this.deliver(participant)
    this.throttle()
    return participant
  }

  /** Takes over the priority and the deadline of a client that joins, where they are better. */
  improve(demand: Demand): void {
    improve(this.demand, demand)
    this.carrier?.improve(demand)
  }

  leave(participant: Participant): void {
    if (!this.participants.remove(participant)) return
    if (this.participants.size > 0) return this.throttle()
    this.close()
    this.carrier?.empty(this)
  }

  open(upstream: Upstream): void {
    this.upstream = upstream
    if (this.participants.size === 0) return upstream.abort()
    for (const participant of this.participants.snapshot()) participant.reply.open(participant)
    this.throttle()
  }

  head(status: number, rawHeaders: ReadonlyArray<string>): void {
    this.status = status
    this.rawHeaders = rawHeaders
    for (const { reply } of this.participants.snapshot()) reply.head(status, rawHeaders)
  }

  data(chunk: Uint8Array): void {
    if (this.ended) return
    this.log.add(chunk)
    this.bytes += chunk.length
    if (this.bytes > this.limits.replayBytes) this.close()
    for (const participant of this.participants.snapshot()) this.deliver(participant)
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

  /** Sends only the first heartbeat. Once it has committed a reply, the client's own request sends the rest. */
  heartbeat(place?: QueuePlace): void {
    for (const { reply } of this.participants.snapshot()) if (!reply.committed) reply.heartbeat(place)
  }

  annotate(headers: ReadonlyArray<string>): void {
    this.annotations.push(...headers)
    for (const { reply } of this.participants.snapshot()) reply.annotate(headers)
  }

  /** Ends the `join` of every participant. Only one of their records counts the attempts. */
  settle(exit: Exit.Exit<Settled, Refusal>, coalesced: Settled["coalesced"]): void {
    this.close()
    let how = coalesced
    for (const { resumes } of this.participants.snapshot()) {
      resumes(how === undefined ? exit : Exit.map(exit, (settled) => ({ ...settled, attempts: 0, coalesced: how })))
      how = "identical"
    }
    this.participants.clear()
  }

  deliver(participant: Participant): void {
    while (!participant.full && this.hasMore(participant)) this.give(participant)
  }

  /** Pauses the upstream call while every participant is full. */
  throttle(): void {
    const full = this.participants.size > 0 && this.participants.find(isReady) === undefined
    if (full === this.paused || this.upstream === undefined || this.ended) return
    this.paused = full
    if (full) this.upstream.pause()
    else this.upstream.resume()
  }

  /** Lets no more clients join: the next request with this key leads a new flight. */
  close(): void {
    if (!this.joinable) return
    this.joinable = false
    this.onClose(this)
  }

  private hasMore(participant: Participant): boolean {
    return participant.next < this.log.end
  }

  private give(participant: Participant): void {
    const chunk = this.log.at(participant.next)
    // Counted first, because the reply may ask for more before it returns.
    participant.next++
    participant.sent += chunk.length
    participant.reply.data(chunk)
  }

  /** Gives the remaining chunks to every reply, also to a full one. Each gets at most `behindMax` bytes in this way. */
  private finish(last: (reply: ReplySink) => void): void {
    if (this.ended) return
    this.ended = true
    this.close()
    for (const participant of this.participants.snapshot()) {
      while (this.hasMore(participant)) this.give(participant)
      last(participant.reply)
    }
    this.log.forget(this.log.end)
  }

  private cutLaggards(): void {
    const behind = (participant: Participant) => this.bytes - participant.sent > participant.behindMax
    // While all are full the upstream call is paused, so no participant holds up another.
    if (this.participants.find(behind) === undefined || this.participants.find(isReady) === undefined) return
    for (const participant of this.participants.snapshot()) {
      if (!behind(participant)) continue
      this.participants.remove(participant)
      participant.cutOff(this.status)
    }
  }

  /** Forgets the chunks that every participant has had, once no client may join. */
  private trim(): void {
    if (this.joinable) return
    let least = this.log.end
    for (const { next } of this.participants.snapshot()) least = Math.min(least, next)
    this.log.forget(least)
  }
}

const isReady = ({ full }: Participant): boolean => !full
