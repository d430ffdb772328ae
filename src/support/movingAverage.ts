/**
 * Exponential moving averages.
 *
 * @since 0.1.0
 */

/**
 * The average after one more value: `before + weight * (value - before)`. Without a value before, the result is
 * `value`. `weight` is from 0 (the value is ignored) to 1 (the older values are forgotten).
 *
 * @category math
 * @since 0.1.0
 */
export const movingAverage = (before: number | undefined, value: number, weight: number): number =>
  before === undefined ? value : before + weight * (value - before)

/**
 * The weight that an older value still has after `millis`: 1 at once, 1/e after `decayMillis`. A negative time, from a
 * clock that was set back, counts as 0.
 *
 * @category math
 * @since 0.1.0
 */
export const decay = (millis: number, decayMillis: number): number => Math.exp(-Math.max(0, millis) / decayMillis)
