/**
 * How often a model is used, of late.
 *
 * @since 0.1.0
 */

/** What was used this long ago counts for 1/e of what is used now: 10 minutes, the horizon of eviction. */
const memoryMillis = 600_000

/** Uses with an exponential memory. @category models @since 0.1.0 */
export class Usage {
  lastAt: number
  private uses = 1

  constructor(now: number) {
    this.lastAt = now
  }

  add(now: number): void {
    // Within a millisecond nothing is forgotten: most requests of a busy model pay no `exp`.
    if (now > this.lastAt) this.uses *= Math.exp((this.lastAt - now) / memoryMillis)
    this.uses++
    this.lastAt = now
  }

  /** Uses per millisecond. */
  rate(now: number): number {
    return this.uses * Math.exp((this.lastAt - now) / memoryMillis) / memoryMillis
  }
}
