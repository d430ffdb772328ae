/**
 * One attempt: passes the answer on, watches its time limits, and decides its outcome.
 *
 * @since 0.1.0
 */
import type { Clock } from "effect"
import type { Lease } from "../../services/Leases.ts"
import { clientGone, notOffered, type Outcome } from "../../services/Outcome.ts"
import { refuse } from "../../services/Refusal.ts"
import type { Attempt } from "../../services/Relay.ts"
import type { ReplySink } from "../../services/Reply.ts"
import type { StreamEnd } from "../../services/RoutedRequest.ts"
import { type ByteSink, TransportError, type Upstream } from "../../services/Transport.ts"
import { concat } from "../../wire/json.ts"
import * as FinalLine from "./finalLine.ts"
import { isModelMissing, outcomeOfFailure, outcomeOfStatus } from "./outcomes.ts"
import * as Terminator from "./terminator.ts"

/** Time limits in milliseconds; see `Options` of the relay. @category models @since 0.1.0 */
export interface Limits {
  readonly firstByteMillis: number
  readonly gapMillis: number
  readonly answerMillis: number
  readonly stallMillis: number
  readonly writeMillis: number
  readonly totalMillis: number
}

/** Bytes. A smaller error answer is held back whole: its body decides whether another backend is tried. */
const heldMax = 64 * 1024

/**
 * Stands between the transport and the reply. It takes chunks by callbacks: a proxy over `Stream` and `HttpClient` of
 * `effect` reached a quarter of the requests a second.
 *
 * @category models
 * @since 0.1.0
 */
export class WatchedAttempt implements ByteSink, Upstream {
  slot = -1
  readonly lease: Lease
  readonly reply: ReplySink
  readonly streams: boolean
  readonly watch: Terminator.Terminator
  readonly tail = new FinalLine.Tail()
  /** Whether the answer does not stream, and has a field `done`. */
  readonly saysDone: boolean
  readonly clock: Clock.Clock
  readonly done: (self: WatchedAttempt, attempt: Attempt) => void
  readonly sentAt: number
  upstream: Upstream | undefined = undefined
  status = 0
  rawHeaders: ReadonlyArray<string> = []
  /** The chunks of an error answer that is held back. */
  held: Array<Uint8Array> | undefined = undefined
  heldBytes = 0
  /** Whether the reply got something of this backend's answer. No other attempt may follow then. */
  passed = false
  settled = false
  firstByteAt: number | undefined = undefined
  /** When bytes last moved, in either direction. */
  lastByteAt: number
  /** Bytes of the call's body that the backend had not taken when the sweeper last looked. */
  private leftToSend = 0
  /** Since when the client has not been reading. The backend is not the cause of the silence that follows. */
  pausedAt: number | undefined = undefined

  constructor(
    lease: Lease,
    reply: ReplySink,
    expect: { readonly streams: boolean; readonly streamEnd: StreamEnd },
    clock: Clock.Clock,
    done: (self: WatchedAttempt, attempt: Attempt) => void,
  ) {
    this.lease = lease
    this.reply = reply
    this.streams = expect.streams
    this.watch = Terminator.make(expect.streams ? expect.streamEnd : "none")
    this.saysDone = !expect.streams && expect.streamEnd === "done-true"
    this.clock = clock
    this.done = done
    this.sentAt = this.lastByteAt = clock.currentTimeMillisUnsafe()
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
    if (status >= 400) this.held = []
  }

  data(chunk: Uint8Array): void {
    if (this.settled || chunk.length === 0) return
    this.lastByteAt = this.clock.currentTimeMillisUnsafe()
    this.firstByteAt ??= this.lastByteAt
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

  end(): void {
    if (this.settled) return
    if (this.held !== undefined) {
      const body = concat(this.held)
      const outcome = outcomeOfStatus(this.status, body)
      if (isRetryable(this.status) || isModelMissing(this.status, body) || outcome === notOffered) {
        return this.finish({
          _tag: "Retry",
          outcome,
          answer: { status: this.status, rawHeaders: this.rawHeaders, body },
        })
      }
      this.pass()
      this.reply.end()
      return this.finish({ _tag: "Answered", status: this.status, outcome })
    }
    if (!this.passed) this.pass()
    const whole = this.watch.end()
    if (whole === "cut") {
      this.reply.refuse(refuse("BackendFailed", "the backend ended the stream before its last record"))
      return this.finish({ _tag: "Answered", status: this.status, outcome: { kind: "failure", cause: "truncated" } })
    }
    this.reply.end()
    this.finish({ _tag: "Answered", status: this.status, outcome: this.ended(whole) })
  }

  fail(error: TransportError): void {
    if (!this.settled) this.broken(outcomeOfFailure(error, this.firstByteAt !== undefined))
  }

  /** The connection broke, or a time limit passed. */
  private broken(outcome: Outcome): void {
    if (!this.passed) return this.finish({ _tag: "Retry", outcome, answer: undefined })
    // The last record has come, so the client has its whole answer.
    if (this.streams && this.watch.end() === "whole") return this.end()
    this.reply.refuse(refuse("BackendFailed", "the backend broke off in the middle of the answer"))
    this.finish({ _tag: "Answered", status: this.status, outcome })
  }

  /** Gives the reply what was held back. From then on it gets this backend's answer and no other. */
  private pass(): void {
    this.passed = true
    this.reply.open(this)
    this.reply.head(this.status, this.rawHeaders)
    if (this.held !== undefined) {
      for (const chunk of this.held) this.reply.data(chunk)
      this.held = undefined
    }
  }

  /** The outcome of an answer that came to its end. */
  private ended(whole: "whole" | "error"): Outcome {
    if (whole === "error") return { kind: "failure", cause: "error-record" }
    if (this.status >= 400) return outcomeOfStatus(this.status, undefined)
    const tail = this.tail.text()
    // The client got the answer as it is, and can see in it that it is not complete.
    if (this.saysDone && tail.includes(`"done":false`)) return { kind: "failure", cause: "truncated" }
    return {
      kind: "success",
      cause: "ok",
      firstByteMillis: (this.firstByteAt ?? this.lastByteAt) - this.sentAt,
      totalMillis: this.lastByteAt - this.sentAt,
      usage: FinalLine.usage(tail),
    }
  }

  private finish(attempt: Attempt): void {
    this.settled = true
    this.done(this, attempt)
  }

  pause(): void {
    this.pausedAt ??= this.clock.currentTimeMillisUnsafe()
    this.upstream?.pause()
  }

  resume(): void {
    if (this.pausedAt === undefined) return
    this.pausedAt = undefined
    this.lastByteAt = this.clock.currentTimeMillisUnsafe()
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
    if (now - this.sentAt >= limits.totalMillis) return this.overdue(limits.totalMillis)
    if (this.pausedAt !== undefined) {
      return now - this.pausedAt < limits.stallMillis ? undefined : this.stalled()
    }
    const unsent = this.firstByteAt === undefined ? this.upstream?.unsent?.() ?? 0 : 0
    if (unsent !== this.leftToSend) {
      this.leftToSend = unsent
      this.lastByteAt = now
    }
    const [limit, cause] = this.limit(limits)
    if (now - this.lastByteAt < limit) return
    this.upstream?.abort()
    this.broken({ kind: "failure", cause })
  }

  /** The limit that applies now, and the cause of a failure by it. */
  private limit(limits: Limits): readonly [millis: number, cause: string] {
    if (this.leftToSend > 0) return [limits.writeMillis, "write-timeout"]
    if (this.firstByteAt !== undefined) return [limits.gapMillis, "gap-timeout"]
    return [this.streams ? limits.firstByteMillis : limits.answerMillis, "first-byte-timeout"]
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
    this.finish({
      _tag: "Answered",
      status: this.passed ? this.status : 504,
      outcome: { kind: "ignored", cause: "total-timeout" },
    })
  }
}

/** Statuses that come before any work was done, or from a proxy in front of the backend. A retry is safe. */
const isRetryable = (status: number): boolean => status === 429 || status === 502 || status === 503
