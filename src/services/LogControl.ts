/**
 * What the log has in it, for operators to change while the router runs.
 *
 * @since 0.1.0
 */
import type { LogLevel } from "effect"

/** The level and the sampling of the log now. @category models @since 0.1.0 */
export interface LogControl {
  /** Events below it are not written. */
  readonly level: () => LogLevel.LogLevel
  readonly setLevel: (level: LogLevel.LogLevel) => void
  /** The share of requests with a status below 500 that get a line, from 0 to 1. All others always get one. */
  readonly sample: () => number
  readonly setSample: (sample: number) => void
}

/** The initial values. A `RangeError` where the sample is not in [0, 1]. @category constructors @since 0.1.0 */
export const make = (initial: {
  readonly level: LogLevel.LogLevel
  /** Defaults to `1`. */
  readonly sample?: number | undefined
}): LogControl => {
  let { level, sample = 1 } = initial
  const checked = (value: number): number => {
    if (!(value >= 0 && value <= 1)) throw new RangeError(`LogControl: sample must be from 0 to 1, got ${value}`)
    return value
  }
  checked(sample)
  return {
    level: () => level,
    setLevel: (next) => void (level = next),
    sample: () => sample,
    setSample: (next) => void (sample = checked(next)),
  }
}
