/**
 * How often a model is used, of late.
 *
 * @since 0.1.0
 */

/**
 * What was used this long ago counts for 1/e of what is used now. The short memory tells who is here, the long one who comes often.
 */
const shortMillis = 20_000
const longMillis = 1_800_000

/** Uses with an exponential memory, twice. @category models @since 0.1.0 */
export class Usage {
  lastAt: number
  private short = 1
  private long = 1

  constructor(now: number) {
    this.lastAt = now
  }

  add(now: number): void {
    // Within a millisecond nothing is forgotten: most requests of a busy model pay no `exp`.
    if (now > this.lastAt) {
      this.short *= Math.exp((this.lastAt - now) / shortMillis)
      this.long *= Math.exp((this.lastAt - now) / longMillis)
    }
    this.short++
    this.long++
    this.lastAt = now
  }

  /** Uses per millisecond: as of late, or in the long run where that is more. */
  rate(now: number): number {
    const age = this.lastAt - now
    return Math.max(
      this.short * Math.exp(age / shortMillis) / shortMillis,
      this.long * Math.exp(age / longMillis) / longMillis,
    )
  }
}
