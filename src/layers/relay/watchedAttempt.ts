/**
 * One attempt: passes the answer on, watches its time limits, and decides its outcome.
 *
 * @since 0.1.0
 */
import type { Clock } from "effect"
import type { Lease } from "../../services/Leases.ts"
import { clientGone, type Outcome } from "../../services/Outcome.ts"
import { refuse } from "../../services/Refusal.ts"
import type { Attempt, Expected } from "../../services/Relay.ts"
import type { ReplySink } from "../../services/Reply.ts"
import { type ByteSink, TransportError, type Upstream } from "../../services/Transport.ts"
import { ContentDecoder, decodedHeaders, encodingOf } from "../../wire/contentDecoding.ts"
import { concat } from "../../wire/json.ts"
import * as FinalLine from "./finalLine.ts"
import * as Outcomes from "./outcomes.ts"
import * as Terminator from "./terminator.ts"
import { type Limits, Timed } from "./timeLimits.ts"

/** Bytes. A smaller error answer is held back whole: its body decides whether another backend is tried. */
const heldMax = 64 * 1024
const none: ReadonlyArray<string> = []

/**
 * Stands between the transport and the reply. It takes chunks by callbacks: a proxy over `Stream` and `HttpClient` of
 * `effect` reached a quarter of the requests a second.
 *
 * @category models
 * @since 0.1.0
 */
export class WatchedAttempt extends Timed implements ByteSink, Upstream {
  slot = -1
  readonly lease: Lease
  readonly reply: ReplySink
  /** Whether the router itself has to read the answer. */
  readonly reads: boolean
  watch: Terminator.Terminator
  readonly tail: FinalLine.Tail = new FinalLine.Tail()
  readonly done: (self: WatchedAttempt, attempt: Attempt) => void
  upstream: Upstream | undefined = undefined
  status = 0
  rawHeaders: ReadonlyArray<string> = none
  /** The `Content-Encoding` that the answer came with, in spite of `identity`. */
  encoding: string | undefined = undefined
  decoder: ContentDecoder | undefined = undefined
  /** The chunks of an error answer that is held back. */
  held: Array<Uint8Array> | undefined = undefined
  heldBytes = 0
  /** Whether the reply got something of this backend's answer. No other attempt may follow then. */
  passed = false
  /** Whether the client had its head, and perhaps heartbeats, before that. */
  begun = false
  settled = false

  constructor(
    lease: Lease,
    reply: ReplySink,
    expect: Expected,
    clock: Clock.Clock,
    done: (self: WatchedAttempt, attempt: Attempt) => void,
  ) {
    super(clock, expect)
    this.lease = lease
    this.reply = reply
    this.watch = Terminator.make(expect.streams ? expect.streamEnd : "none")
    this.reads = expect.reads === true
    this.done = done
  }

  open(upstream: Upstream): void {
    if (this.settled) upstream.abort()
    else this.upstream = upstream
  }

  head(status: number, rawHeaders: ReadonlyArray<string>): void {
    if (this.settled) return
    this.status = status
    this.rawHeaders = rawHeaders
    this.lastByteAt = this.clock.currentTimeMillisUnsafe()
    this.encoding = encodingOf(rawHeaders)
    if (status < 400) return
    this.held = []
    this.decode()
  }

  data(chunk: Uint8Array): void {
    if (this.settled || chunk.length === 0) return
    this.moved()
    if (this.encoding !== undefined) this.encoded(chunk)
    else this.take(chunk)
  }

  end(): void {
    if (this.settled) return
    this.timing?.ending()
    return this.decoder === undefined ? this.answered() : this.decoder.end()
  }

  fail(error: TransportError): void {
    if (this.settled) return
    const outcome = Outcomes.outcomeOfFailure(error, this.firstByteAt !== undefined)
    if (this.decoder === undefined) this.broken(outcome)
    else this.decoder.breakOff(() => this.settled || this.broken(outcome))
  }

  /** Passes encoded bytes on as they are, unless the router reads them or has sent a head without an encoding. */
  private encoded(chunk: Uint8Array): void {
    if (this.decoder === undefined && !this.passed) {
      if (this.reads || this.reply.committed) this.decode()
      else this.watch = Terminator.make("none")
    }
    if (this.decoder === undefined) this.take(chunk)
    else this.decoder.push(chunk)
  }

  /** From now on the answer is decoded, if it is encoded. */
  private decode(): void {
    if (this.encoding === undefined) return
    this.rawHeaders = decodedHeaders(this.rawHeaders)
    this.decoder = new ContentDecoder(this.encoding, {
      data: (chunk) => this.settled || this.take(chunk),
      end: () => this.settled || this.answered(),
      fail: () => this.settled || this.breakOff("protocol"),
    })
  }

  /** Takes a chunk as the client gets it. */
  private take(chunk: Uint8Array): void {
    if (this.held !== undefined) {
      this.held.push(chunk)
      this.heldBytes += chunk.length
      if (this.heldBytes > heldMax) this.pass()
      return
    }
    if (!this.passed) this.pass()
    this.watch.push(chunk)
    this.tail.push(chunk)
    this.reply.data(chunk)
  }

  /** The answer is complete, as its own framing says. */
  private answered(): void {
    let outcome: Outcome | undefined
    if (this.held !== undefined) {
      const body = concat(this.held)
      outcome = Outcomes.outcomeOfStatus(this.status, body)
      if (Outcomes.isElsewhere(this.status, body, outcome)) {
        const answer = { status: this.status, rawHeaders: this.rawHeaders, body }
        return this.finish({ _tag: "Retry", outcome, answer })
      }
    }
    if (!this.passed) this.pass()
    const ending = this.watch.end()
    const isCut = ending === "cut" && this.status < 400
    // A document in place of a stream is no end for a client that has the head of a stream already.
    if (isCut && (this.begun || !Outcomes.isNoStream(this.rawHeaders, this.watch.isDocument()))) {
      this.reply.refuse(refuse("BackendFailed", "the backend ended the stream before its last record"))
      return this.finish({ _tag: "Answered", status: this.status, outcome: Outcomes.truncated })
    }
    this.reply.end()
    this.finish({ _tag: "Answered", status: this.status, outcome: outcome ?? this.outcomeOf(ending) })
  }

  /** The connection broke, or a time limit passed. */
  private broken(outcome: Outcome): void {
    if (!this.passed) return this.finish({ _tag: "Retry", outcome, answer: undefined })
    const isRead = this.encoding === undefined || this.decoder !== undefined
    // The last record has come, so the client has its whole answer.
    if (this.streams && isRead && this.watch.end() !== "cut") return this.answered()
    this.reply.refuse(refuse("BackendFailed", "the backend broke off in the middle of the answer"))
    this.finish({ _tag: "Answered", status: this.status, outcome })
  }

  /** Gives the reply what was held back. From then on it gets this backend's answer and no other. */
  private pass(): void {
    this.passed = true
    this.begun = this.reply.committed
    this.reply.open(this)
    this.reply.head(this.status, this.rawHeaders)
    if (this.held !== undefined) {
      for (const chunk of this.held) this.reply.data(chunk)
      this.held = undefined
    }
  }

  /** The outcome of an answer that came to its end. What a whole answer says of the model's text does not matter. */
  private outcomeOf(ending: Terminator.Ending): Outcome {
    if (ending === "error") return Outcomes.outcomeOfErrorRecord(this.tail.text())
    if (this.status >= 400) return Outcomes.outcomeOfStatus(this.status, undefined)
    return this.success(FinalLine.usage(this.tail.text()))
  }

  private finish(attempt: Attempt): void {
    this.settled = true
    this.decoder?.close()
    this.done(this, attempt)
  }

  pause(): void {
    this.pausedAt ??= this.clock.currentTimeMillisUnsafe()
    this.decoder?.pause()
    this.upstream?.pause()
  }

  resume(): void {
    if (this.pausedAt === undefined) return
    this.pausedAt = undefined
    this.lastByteAt = this.clock.currentTimeMillisUnsafe()
    this.decoder?.resume()
    this.upstream?.resume()
  }

  /** Called when the client or the router needs no more of the answer. */
  abort(): void {
    if (this.settled) return
    this.upstream?.abort()
    this.finish({ _tag: "Answered", status: this.status, outcome: clientGone })
  }

  /** Ends the attempt if a time limit has passed. The sweeper calls it. */
  check(now: number, limits: Limits): void {
    if (this.settled) return
    const cause = this.late(now, limits, () => this.upstream?.unsent?.() ?? 0)
    if (cause === undefined) return
    if (cause === "total") return this.overdue(limits.totalMillis)
    if (cause === "stalled") return this.stalled()
    this.breakOff(cause)
  }

  private breakOff(cause: string): void {
    this.upstream?.abort()
    this.broken({ kind: "failure", cause })
  }

  /** The client has not read for too long: Ollama would keep the slot for as long as it takes. */
  private stalled(): void {
    this.upstream?.abort()
    const description = "the client stopped reading"
    this.reply.fail(new TransportError({ reason: "Timeout", backend: this.lease.backend.id, description }))
    this.finish({ _tag: "Answered", status: this.status, outcome: { kind: "ignored", cause: "client-stalled" } })
  }

  /** The deployer's limit has passed. It is no fault of the backend, and another attempt would have no time left. */
  private overdue(limit: number): void {
    this.upstream?.abort()
    this.reply.refuse(refuse("DeadlineExceeded", `the answer was not complete after ${limit} ms`))
    const status = this.passed ? this.status : 504
    this.finish({ _tag: "Answered", status, outcome: { kind: "ignored", cause: "total-timeout" } })
  }
}
