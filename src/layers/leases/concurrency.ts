/**
 * How many streams of one model a backend is given at a time: additive increase, multiplicative decrease.
 *
 * @since 0.1.0
 */
import type { Outcome } from "../../services/Outcome.ts"

/** A wait for a slot inside the backend that is longer than this is one: below it are the backend's own few milliseconds. */
const waitMillisMin = 50
/** And so is none that is a smaller part of the whole: a request handed over while another ends. */
const waitPartMin = 0.05
/** A slot wait takes a tenth, at least one stream; an answer 429 or 503 takes half. */
const waitFactor = 0.9
const saturatedFactor = 0.5
/** So many answers for each stream, with the limit reached and nobody waiting inside, before one stream more is tried. */
const cleanPerStream = 4
/** After a try that failed the next is put off for so long, twice as long each time, up to the second figure. */
const backoffMillis = 30_000
const backoffMillisMax = 480_000

/**
 * The limit of one model on one backend.
 *
 * **Details**
 *
 * - It begins at the configured parallelism and stays there while the backend says nothing: only native answers say how long they waited for a slot.
 * - It falls when a request waited for a slot inside the backend or was told that it is busy; once for all requests that were under way at the time.
 * - It rises by one while it is reached and none waits in there. After a rise that went too far it comes back and waits before the next.
 * - Without word of slots it rises no further than the configured value.
 *
 * @category models
 * @since 0.1.0
 */
export class Concurrency {
  private adapted: number | undefined = undefined
  private configured = 0
  /** Answers since the last change that found no wait, and were sent with the limit reached. */
  private clean = 0
  private changedAt = -Infinity
  /** The lowest limit known to be too high, and until when that is believed. */
  private ceiling = Infinity
  private ceilingUntil = -Infinity
  private backoff = backoffMillis

  limit(configured: number, streamsMax: number): number {
    return Math.min(
      this.adapted === undefined || this.configured !== configured ? configured : this.adapted,
      streamsMax,
    )
  }

  /**
   * An attempt has ended. `begun` and `at` are when it was sent and now; `streams` is how many there were when it was sent, itself included.
   */
  settled(
    outcome: Outcome,
    { at, begun, configured, streams, streamsMax }: {
      readonly at: number
      readonly begun: number
      readonly configured: number
      readonly streams: number
      readonly streamsMax: number
    },
  ): void {
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
      // Those sent before the last change saw the limit before it, and those that were alone waited for somebody else's.
      if (begun >= this.changedAt) this.change(Math.max(1, Math.floor(limit * waitFactor)), limit, at)
      return
    }
    if (begun < this.changedAt || streams < limit) return
    if (waited === undefined && limit >= configured) return
    if (++this.clean < cleanPerStream * limit || limit >= streamsMax) return
    if (limit + 1 >= this.ceiling && at < this.ceilingUntil) return
    this.change(limit + 1, limit, at)
  }

  private change(to: number, from: number, at: number): void {
    if (to < from) {
      // The same ceiling again: it is one.
      this.backoff = from === this.ceiling ? Math.min(2 * this.backoff, backoffMillisMax) : backoffMillis
      this.ceiling = from
      this.ceilingUntil = at + this.backoff
    }
    this.adapted = to
    this.changedAt = at
    this.clean = 0
  }
}
