/**
 * How fast a queue drains: what `Retry-After` is computed from.
 *
 * @since 0.1.0
 */
import { movingAverage } from "../../support/movingAverage.ts"

/**
 * Grants that the average remembers: enough to even out slots that become free together, few enough to follow a
 * change.
 */
const grantsMemory = 32
/** The guess at the beginning of a busy period counts as so many grants. */
const guessGrants = 8
/** Uses that the average duration remembers. */
const usesMemory = 16
/** The interval where nothing is known: one second for each request. */
const unknownMillis = 1000

/**
 * The average interval between two requests that leave one queue with a lease, in milliseconds.
 *
 * **Details**
 *
 * Only the time when requests wait counts. Otherwise the interval between arrivals would be measured. A busy period
 * begins with a guess, by Little's law: as many requests leave per unit of time as run at the same time, divided by
 * the time that one takes.
 *
 * @category models
 * @since 0.1.0
 */
export class DrainRate {
  /** Leases in use now. */
  private running = 0
  private useMillis: number | undefined = undefined
  private uses = 0
  /**
   * `millis` and `grants` decay at the same pace: their ratio is the average interval, also where several grants come
   * at once.
   */
  private millis = 0
  private grants = 0
  private last = 0

  /** The use of a lease begins. */
  began(): void {
    this.running++
  }

  /** The use of a lease ends, after so many milliseconds. */
  ended(usedMillis: number): void {
    this.running--
    if (this.uses < usesMemory) this.uses++
    // A plain mean of the first uses; after that each use counts for 1 / usesMemory.
    this.useMillis = movingAverage(this.useMillis, usedMillis, 1 / this.uses)
  }

  /** A request waits, after a time when none did. */
  opened(now: number): void {
    const guess = this.useMillis !== undefined && this.running > 0
      ? this.useMillis / this.running
      : this.grants > 0
      ? this.millis / this.grants
      : undefined
    this.last = now
    this.grants = guess === undefined ? 0 : guessGrants
    this.millis = this.grants * (guess ?? 0)
  }

  /** A request has left the queue with a lease. */
  granted(now: number): void {
    const kept = 1 - 1 / grantsMemory
    this.millis = this.millis * kept + now - this.last
    this.grants = this.grants * kept + 1
    this.last = now
  }

  /** A queue that has stopped draining looks slower as time passes. */
  intervalMillis(now: number): number {
    const stalled = (this.millis + now - this.last) / (this.grants + 1)
    return this.grants === 0 ? Math.max(unknownMillis, stalled) : Math.max(this.millis / this.grants, stalled)
  }
}
