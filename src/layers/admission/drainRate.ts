/**
 * How fast a queue drains: what `Retry-After` is computed from.
 *
 * @since 0.1.0
 */

/** Grants that the average remembers. Long enough to even out slots that are freed together, short enough to follow a change. */
const memory = 32
/** Grants that the guess at the beginning of a busy period counts for. */
const guessWeight = 8
/** Uses that the average duration remembers. */
const usesMemory = 16
/** Taken where nothing is known: a second for each. */
const unknownMillis = 1000

/**
 * Milliseconds between two that leave one queue with a lease.
 *
 * **Details**
 *
 * Counted only while something waits: else it would be arrivals that are counted. A busy period begins with a guess: by Little's law as many leave as
 * there run, divided by how long one takes.
 *
 * @category models
 * @since 0.1.0
 */
export class DrainRate {
  /** Leases in use now. */
  private running = 0
  private useMillis: number | undefined = undefined
  private uses = 0
  /** Both forget, at the same pace: their ratio is the average interval, however the grants are bunched. */
  private millis = 0
  private grants = 0
  private last = 0

  /** A lease is used from now on. */
  began(): void {
    this.running++
  }

  ended(usedMillis: number): void {
    this.running--
    if (this.uses < usesMemory) this.uses++
    this.useMillis = (this.useMillis ?? 0) + (usedMillis - (this.useMillis ?? 0)) / this.uses
  }

  /** Something waits, after a time when nothing did. */
  opened(now: number): void {
    const guess = this.useMillis !== undefined && this.running > 0
      ? this.useMillis / this.running
      : this.grants > 0
      ? this.millis / this.grants
      : undefined
    this.last = now
    this.grants = guess === undefined ? 0 : guessWeight
    this.millis = this.grants * (guess ?? 0)
  }

  /** One has left the queue with a lease. */
  granted(now: number): void {
    const kept = 1 - 1 / memory
    this.millis = this.millis * kept + now - this.last
    this.grants = this.grants * kept + 1
    this.last = now
  }

  /** A queue that has stopped draining looks slower by the minute. */
  intervalMillis(now: number): number {
    const stalled = (this.millis + now - this.last) / (this.grants + 1)
    return this.grants === 0 ? Math.max(unknownMillis, stalled) : Math.max(this.millis / this.grants, stalled)
  }
}
