/**
 * The time limits of an attempt. One sweeper checks them for all attempts.
 *
 * @since 0.1.0
 */
import type { Clock } from "effect"
import type { AnswerUsage, Outcome } from "../../services/Outcome.ts"
import type { Expected } from "../../services/Relay.ts"

/** Time limits in milliseconds; see `Options` of the relay. @category models @since 0.1.0 */
export interface Limits {
  readonly firstByteMillis: number
  readonly gapMillis: number
  readonly answerMillis: number
  readonly stallMillis: number
  readonly writeMillis: number
  readonly totalMillis: number
}

/**
 * The times of an attempt, in milliseconds since 1970.
 *
 * @category models
 * @since 0.1.0
 */
export abstract class Timed {
  readonly clock: Clock.Clock
  readonly streams: boolean
  readonly sentAt: number
  firstByteAt: number | undefined = undefined
  /** When bytes last moved, in either direction. */
  lastByteAt: number
  /** Since when the client has not been reading. The backend is not the cause of the silence that follows. */
  pausedAt: number | undefined = undefined
  /** The longest time between two chunks; -1 before the second one. */
  private longestGap = -1
  /** Bytes of the call's body that the backend had not taken when the sweeper last looked. */
  private leftToSend = 0

  protected readonly timing: Expected["timing"]
  private readonly record: Expected["record"]

  constructor(clock: Clock.Clock, { record, streams, timing }: Expected) {
    this.clock = clock
    this.streams = streams
    this.timing = timing
    this.record = record
    this.sentAt = this.lastByteAt = clock.currentTimeMillisUnsafe()
  }

  /** Bytes of the answer came. */
  protected moved(): void {
    const now = this.clock.currentTimeMillisUnsafe()
    if (this.firstByteAt === undefined) {
      this.firstByteAt = now
      if (this.record !== undefined) this.record.firstByteAt = now
    } else if (now - this.lastByteAt > this.longestGap) this.longestGap = now - this.lastByteAt
    // Each write makes a new object of such a large number, and most chunks come within the same millisecond.
    if (now !== this.lastByteAt) this.lastByteAt = now
  }

  /** The outcome of a complete answer. */
  protected success(usage: AnswerUsage | undefined): Outcome {
    const { firstByteAt, lastByteAt, sentAt } = this
    const firstByteMillis = (firstByteAt ?? lastByteAt) - sentAt
    const longestGapMillis = this.longestGap < 0 ? undefined : this.longestGap
    return { kind: "success", cause: "ok", firstByteMillis, totalMillis: lastByteAt - sentAt, longestGapMillis, usage }
  }

  /**
   * The limit that has passed: `total` and `stalled` are no fault of the backend; another text is the cause of its
   * failure.
   */
  protected late(now: number, limits: Limits, unsent: () => number): string | undefined {
    if (now - this.sentAt >= limits.totalMillis) return "total"
    if (this.pausedAt !== undefined) return now - this.pausedAt < limits.stallMillis ? undefined : "stalled"
    const left = this.firstByteAt === undefined ? unsent() : 0
    if (left !== this.leftToSend) {
      this.leftToSend = left
      this.lastByteAt = now
    }
    const [limit, cause] = this.silence(limits)
    return now - this.lastByteAt < limit ? undefined : cause
  }

  /** The limit for the silence of a backend that applies now, and the cause of a failure by it. */
  private silence(limits: Limits): readonly [millis: number, cause: string] {
    if (this.leftToSend > 0) return [limits.writeMillis, "write-timeout"]
    if (this.firstByteAt !== undefined) return [limits.gapMillis, "gap-timeout"]
    return [this.streams ? limits.firstByteMillis : limits.answerMillis, "first-byte-timeout"]
  }
}
