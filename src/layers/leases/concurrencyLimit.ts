/**
 * How many streams of one model a backend is given at a time.
 *
 * The rule is additive increase and multiplicative decrease, as in TCP. No library is used: the signal is Ollama's own
 * report of the time a request waited for a slot.
 *
 * @since 0.1.0
 */
import type { Outcome } from "../../services/Outcome.ts"

/** A shorter wait inside the backend is its own overhead, not a wait for a slot. */
const waitMillisMin = 50
/**
 * Neither is a wait that is a smaller part of the whole answer: the backend hands a slot from one request to the next.
 */
const waitPartMin = 0.05
/** After a wait for a slot the limit falls by a tenth, at least by one stream; after an answer 429 or 503 by half. */
const waitFactor = 0.9
const saturatedFactor = 0.5
/** Answers without a wait, for each stream of the limit, before one stream more is tried. */
const answersPerStream = 4
/** The pause after a rise that was too high. It doubles with each further one, up to the second figure. */
const backoffMillis = 30_000
const backoffMillisMax = 480_000

/** One attempt that has ended. All times are in milliseconds. @category models @since 0.1.0 */
export interface EndedAttempt {
  /** When it ended. */
  readonly at: number
  /** When it was sent. */
  readonly begun: number
  /** `Backend.parallelism`. */
  readonly configured: number
  /** Streams of the model when it was sent, itself included. */
  readonly streams: number
  /** `Backend.streamsMax`. */
  readonly streamsMax: number
}

/**
 * The limit of one model on one backend.
 *
 * **Details**
 *
 * - It begins at the configured parallelism. It stays there while the answers do not say how long they waited for a
 *   slot; only answers of Ollama's own API say it.
 * - It falls when a request waited for a slot inside the backend, or when the backend answered that it is busy. It
 *   falls once for all requests that were under way at that time.
 * - It rises by one while it is used in full and no request waits in the backend. After a rise that was too high it
 *   falls again, and the next rise comes later.
 * - Without reports of waits it rises at most to the configured value.
 *
 * @category models
 * @since 0.1.0
 */
export class ConcurrencyLimit {
  private adapted: number | undefined = undefined
  private configured = 0
  /** Answers since the last change that were sent at the limit and did not wait for a slot. */
  private unhindered = 0
  private changedAt = -Infinity
  /** The lowest limit known to be too high, and until when that is taken as true. */
  private ceiling = Infinity
  private ceilingUntil = -Infinity
  private backoff = backoffMillis

  limit(configured: number, streamsMax: number): number {
    return Math.min(
      this.adapted === undefined || this.configured !== configured ? configured : this.adapted,
      streamsMax,
    )
  }

  /** Takes in the outcome of an attempt. */
  settled(outcome: Outcome, { at, begun, configured, streams, streamsMax }: EndedAttempt): void {
    const limit = this.limit(configured, streamsMax)
    this.configured = configured
    this.adapted = limit
    if (outcome.kind === "saturated") {
      if (begun >= this.changedAt) this.change(Math.max(1, Math.floor(limit * saturatedFactor)), limit, at)
      return
    }
    if (outcome.kind !== "success") return
    const waited = outcome.usage?.slotWaitMillis
    if (waited !== undefined && waited > Math.max(waitMillisMin, waitPartMin * (at - begun))) {
      // A request that was sent before the last change waited because of the limit before it.
      if (begun >= this.changedAt) this.change(Math.max(1, Math.floor(limit * waitFactor)), limit, at)
      return
    }
    if (begun < this.changedAt || streams < limit) return
    if (waited === undefined && limit >= configured) return
    if (++this.unhindered < answersPerStream * limit || limit >= streamsMax) return
    if (limit + 1 >= this.ceiling && at < this.ceilingUntil) return
    this.change(limit + 1, limit, at)
  }

  private change(to: number, from: number, at: number): void {
    if (to < from) {
      // The same limit was too high before: it is probably still too high later, so the pause doubles.
      this.backoff = from === this.ceiling ? Math.min(2 * this.backoff, backoffMillisMax) : backoffMillis
      this.ceiling = from
      this.ceilingUntil = at + this.backoff
    }
    this.adapted = to
    this.changedAt = at
    this.unhindered = 0
  }
}
