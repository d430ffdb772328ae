/**
 * Bytes from the backend to the reply, unchanged, with one sweeper watching all exchanges for what does not come.
 *
 * @since 0.1.0
 */
import { Clock, Duration, Effect, Layer } from "effect"
import type { Lease } from "../services/Leases.ts"
import { clientGone, type Outcome } from "../services/Outcome.ts"
import { refuse } from "../services/Refusal.ts"
import { type Attempt, Relay } from "../services/Relay.ts"
import type { ReplySink } from "../services/Reply.ts"
import type { StreamEnd } from "../services/RoutedRequest.ts"
import { type ByteSink, Transport, TransportError, type Upstream } from "../services/Transport.ts"
import { Bag } from "./edge/bag.ts"
import { concat } from "./edge/json.ts"
import { every } from "./internal/every.ts"
import * as FinalLine from "./relay/finalLine.ts"
import { isModelMissing, outcomeOfFailure, outcomeOfStatus } from "./relay/outcomes.ts"
import * as Terminator from "./relay/terminator.ts"

/** @category models @since 0.1.0 */
export interface Options {
  /** Longest wait for the first byte of a streamed answer, in milliseconds. Defaults to `120000`. */
  readonly firstByteMillis?: number | undefined
  /** Longest wait between two chunks, in milliseconds. Defaults to `120000`. */
  readonly gapMillis?: number | undefined
  /** Longest wait for an answer that does not stream, whose first byte comes when all is generated. Defaults to `600000`, as long as the `openai` client waits. */
  readonly answerMillis?: number | undefined
  /** A client that does not read for so long is cut, in milliseconds: Ollama would hold its slot for ever. Defaults to `60000`. */
  readonly stallMillis?: number | undefined
  /** Longest time in which a backend takes nothing more of a request's body, in milliseconds. Defaults to `10000`. */
  readonly writeMillis?: number | undefined
  /** Longest time for all of an exchange, in milliseconds. Defaults to no limit. */
  readonly totalMillis?: number | undefined
}

type Limits = Required<{ [K in keyof Options]: number }>

/** How often limits are looked at: a cut is late by at most this. */
const sweepMillis = 250

/** An error answer is held back whole up to this size, since it decides whether another backend is tried. */
const heldMax = 64 * 1024

/** One exchange, between the transport and the reply. */
class Exchange implements ByteSink, Upstream {
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

const make = Effect.fnUntraced(function* (limits: Limits) {
  const transport = yield* Transport
  const clock = yield* Clock.Clock
  const active = new Bag<Exchange>()

  const sweep = Effect.sync(() => {
    if (active.size === 0) return
    const now = clock.currentTimeMillisUnsafe()
    for (const exchange of active.snapshot()) exchange.check(now, limits)
  })
  yield* Effect.forkScoped(every(Duration.millis(sweepMillis), sweep))

  return Relay.of({
    active: () => active.size,
    run: (lease, call, expect, reply) =>
      Effect.callback<Attempt>((resume) => {
        const exchange = new Exchange(lease, reply, expect, clock, (self, attempt) => {
          active.remove(self)
          lease.release(attempt.outcome)
          resume(Effect.succeed(attempt))
        })
        active.add(exchange)
        transport.send(lease.backend, call, exchange)
        return Effect.sync(() => exchange.abort())
      }),
  })
})

/**
 * A relay over the deployer's transport.
 *
 * **Details**
 *
 * The head is held back until the first byte of the body, so that a failure before it can still go elsewhere and head and first chunk leave together.
 * Error answers are held back whole (up to 64 KiB). A stream that ends without the last record of its dialect gets an error record.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options?: Options): Layer.Layer<Relay, never, Transport> =>
  Layer.effect(
    Relay,
    make({
      firstByteMillis: options?.firstByteMillis ?? 120_000,
      gapMillis: options?.gapMillis ?? 120_000,
      answerMillis: options?.answerMillis ?? 600_000,
      stallMillis: options?.stallMillis ?? 60_000,
      writeMillis: options?.writeMillis ?? 10_000,
      totalMillis: options?.totalMillis ?? Infinity,
    }),
  )
