/**
 * Exponential moving averages.
 *
 * @since 0.1.0
 */

/**
 * The average after one more value. The first value is the average; each later one counts for `weight`, from 0 to 1, and what was
 * there for the rest.
 *
 * @category math
 * @since 0.1.0
 */
export const movingAverage = (before: number | undefined, value: number, weight: number): number =>
  before === undefined ? value : before + weight * (value - before)

/**
 * The share of an older value that still counts after `millis`: 1 at once, 1/e after `decayMillis`. A clock that went back counts as
 * no time at all.
 *
 * @category math
 * @since 0.1.0
 */
export const decay = (millis: number, decayMillis: number): number => Math.exp(-Math.max(0, millis) / decayMillis)
