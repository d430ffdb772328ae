/**
 * How often a model has been used recently.
 *
 * @since 0.1.0
 */
import { decay } from "../../../support/movingAverage.ts"

/**
 * A use this long ago counts for 1/e of a use now. The short time shows which models are in use at the moment, the
 * long time shows which models are used regularly.
 */
const shortMillis = 20_000
const longMillis = 1_800_000

/** Counts uses with exponential decay, over a short and a long time. @category models @since 0.1.0 */
export class UseRate {
  lastAt: number
  /** The client of the last use, and the last use by any other client: both only where clients are told apart. */
  private lastBy: string | undefined
  private othersAt: number | undefined = undefined
  private short = 1
  private long = 1

  constructor(now: number, client?: string) {
    this.lastAt = now
    this.lastBy = client
  }

  add(now: number, client?: string): void {
    if (client !== this.lastBy) {
      this.othersAt = this.lastAt
      this.lastBy = client
    }
    // Within one millisecond nothing decays: most requests of a busy model cost no call of `exp`.
    if (now > this.lastAt) {
      this.short *= decay(now - this.lastAt, shortMillis)
      this.long *= decay(now - this.lastAt, longMillis)
    }
    this.short++
    this.long++
    this.lastAt = now
  }

  /** When the last use was by another client than this one; `undefined` when there was none. */
  lastAtBut(client: string): number | undefined {
    return client === this.lastBy ? this.othersAt : this.lastAt
  }

  /** Uses per millisecond: the larger one of the recent rate and the long-term rate. */
  perMilli(now: number): number {
    const age = now - this.lastAt
    return Math.max(
      this.short * decay(age, shortMillis) / shortMillis,
      this.long * decay(age, longMillis) / longMillis,
    )
  }
}
