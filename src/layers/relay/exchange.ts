/**
 * One exchange with one backend, watched: what came, what is missing, and what is said of it in the end.
 *
 * @since 0.1.0
 */
import type { Clock } from "effect"
import type { Lease } from "../../services/Leases.ts"
import { clientGone, type Outcome } from "../../services/Outcome.ts"
import { refuse } from "../../services/Refusal.ts"
import type { Attempt } from "../../services/Relay.ts"
import type { ReplySink } from "../../services/Reply.ts"
import type { StreamEnd } from "../../services/RoutedRequest.ts"
import { type ByteSink, TransportError, type Upstream } from "../../services/Transport.ts"
import { concat } from "../../wire/json.ts"
import * as FinalLine from "./finalLine.ts"
import { isModelMissing, outcomeOfFailure, outcomeOfStatus } from "./outcomes.ts"
import * as Terminator from "./terminator.ts"

/** Milliseconds; the relay's options say what each is for. @category models @since 0.1.0 */
export interface Limits {
  readonly firstByteMillis: number
  readonly gapMillis: number
  readonly answerMillis: number
  readonly stallMillis: number
  readonly writeMillis: number
  readonly totalMillis: number
}

/** An error answer is held back whole up to this size, since it decides whether another backend is tried. */
const heldMax = 64 * 1024

/** One exchange, between the transport and the reply. @category models @since 0.1.0 */
export class Exchange implements ByteSink, Upstream {
  slot = -1
  readonly lease: Lease
  readonly reply: ReplySink
  readonly streams: boolean
  readonly watch: Terminator.Terminator
  readonly tail = new FinalLine.Tail()
  /** Whether the answer comes whole and says whether it is. */
  readonly saysDone: boolean
  readonly clock: Clock.Clock
  readonly done: (exchange: Exchange, attempt: Attempt) => void
  readonly sentAt: number
  upstream: Upstream | undefined = undefined
  status = 0
  rawHeaders: ReadonlyArray<string> = []
  held: Array<Uint8Array> | undefined = undefined
  heldBytes = 0
  /** Whether a byte of this backend was passed on: from then on there is no other attempt. */
  passed = false
  settled = false
  firstByteAt: number | undefined = undefined
  /** Of either direction: while the request is sent, when the backend last took something of it. */
  lastByteAt: number
  private leftToSend = 0
  /** Since when the client has not been reading; the backend is not to blame for the silence that follows. */
  pausedAt: number | undefined = undefined

  constructor(
    lease: Lease,
    reply: ReplySink,
    expect: { readonly streams: boolean; readonly streamEnd: StreamEnd },
    clock: Clock.Clock,
    done: (exchange: Exchange, attempt: Attempt) => void,
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
      if (isRetryable(this.status) || isModelMissing(this.status, body)) {
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

  private broken(outcome: Outcome): void {
    if (!this.passed) return this.finish({ _tag: "Retry", outcome, answer: undefined })
    // Everything had come but the end of the body: the client has its answer, and needs no error after it.
    if (this.streams && this.watch.end() === "whole") return this.end()
    this.reply.refuse(refuse("BackendFailed", "the backend broke off in the middle of the answer"))
    this.finish({ _tag: "Answered", status: this.status, outcome })
  }

  /** From here on the client sees this backend's answer, and no other. */
  private pass(): void {
    this.passed = true
    this.reply.open(this)
    this.reply.head(this.status, this.rawHeaders)
    if (this.held !== undefined) {
      for (const chunk of this.held) this.reply.data(chunk)
      this.held = undefined
    }
  }

  private ended(whole: "whole" | "error"): Outcome {
    if (whole === "error") return { kind: "failure", cause: "error-record" }
    if (this.status >= 400) return outcomeOfStatus(this.status, undefined)
    const tail = this.tail.text()
    // The client has it as it is: it says so itself.
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

  /** The reply, or the fiber, wants no more. */
  abort(): void {
    if (this.settled) return
    this.upstream?.abort()
    this.finish({ _tag: "Answered", status: this.status, outcome: clientGone })
  }

  /** Called by the sweeper. */
  check(now: number, limits: Limits): void {
    if (this.settled) return
    if (now - this.sentAt >= limits.totalMillis) return this.overdue(limits.totalMillis)
    if (this.pausedAt !== undefined) {
      if (now - this.pausedAt < limits.stallMillis) return
      this.upstream?.abort()
      const description = "the client stopped reading"
      this.reply.fail(new TransportError({ reason: "Timeout", backend: this.lease.backend.id, description }))
      return this.finish({
        _tag: "Answered",
        status: this.status,
        outcome: { kind: "ignored", cause: "client-stalled" },
      })
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

  /** What is waited for now. */
  private limit(limits: Limits): readonly [millis: number, cause: string] {
    if (this.leftToSend > 0) return [limits.writeMillis, "write-timeout"]
    if (this.firstByteAt !== undefined) return [limits.gapMillis, "gap-timeout"]
    return [this.streams ? limits.firstByteMillis : limits.answerMillis, "first-byte-timeout"]
  }

  /** The deployer's limit, not the backend's fault; and nobody else would have the time either. */
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

/** Said before any work was done, or by something in front of the backend: safe to send elsewhere. */
const isRetryable = (status: number): boolean => status === 429 || status === 502 || status === 503
