/**
 * Tries another backend, within a budget that all requests share. Without a budget, retries would multiply the load
 * during an outage.
 *
 * @since 0.1.0
 */
import * as Live from "../../services/Live.ts"
import type { RetryPolicy } from "../../services/Plugin.ts"

/** @category models @since 0.1.0 */
export interface Options {
  /** Retries that each request adds to the budget. Defaults to `0.2`. */
  readonly ratio?: number | undefined
  /** Retries that each second adds to the budget. Defaults to `10`. */
  readonly perSecond?: number | undefined
  /** Attempts for one request, the first included. Defaults to `3`. */
  readonly attemptsMax?: number | undefined
}

/** Budgets are in thousandths of a retry, so that sums are exact. */
const one = 1000

const checked = ({ attemptsMax = 3, perSecond = 10, ratio = 0.2 }: Options) => {
  if (!(ratio >= 0)) throw new RangeError(`FailoverRetry.make: ratio must be at least 0, got ${ratio}`)
  if (!(perSecond >= 0)) throw new RangeError(`FailoverRetry.make: perSecond must be at least 0, got ${perSecond}`)
  if (!Number.isInteger(attemptsMax) || attemptsMax < 1) {
    throw new RangeError(`FailoverRetry.make: attemptsMax must be a whole number of at least 1, got ${attemptsMax}`)
  }
  return { attemptsMax, perSecond: perSecond * one, earned: Math.round(ratio * one) }
}

/**
 * Retries a failed attempt on another backend while the budget lasts and fewer than `attemptsMax` attempts were made.
 *
 * **Details**
 *
 * The budget is that of Finagle: each request adds `ratio` of a retry, and each second adds `perSecond` retries. What
 * is not used within ten seconds is lost. Options that change while the router runs (`Live`) keep the budget: they
 * count for what is added from then on.
 *
 * The router decides which attempts may be retried at all: never after a byte of a backend was passed on, and never
 * when the failure is the client's fault.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (options?: Live.Input<Options>): RetryPolicy => {
  const rules = Live.map(Live.of(options ?? {}), checked)
  // Ten slots of one second each: the retries added minus those used in that second.
  const seconds = new Float64Array(10).fill(-1)
  const balance = new Float64Array(10)
  const slot = (now: number): number => {
    const second = Math.floor(now / 1000)
    const index = second % 10
    if (seconds[index] !== second) {
      seconds[index] = second
      balance[index] = rules.now.perSecond
    }
    return index
  }
  const total = (now: number): number => {
    const second = Math.floor(now / 1000)
    let sum = 0
    for (let i = 0; i < 10; i++) if (second - seconds[i]! < 10) sum += balance[i]!
    return sum
  }
  return {
    kind: "retry",
    name: "failover",
    seen: (now) => {
      const index = slot(now)
      balance[index] = balance[index]! + rules.now.earned
    },
    budget: (now) => {
      slot(now)
      return Math.max(0, total(now) / one)
    },
    decide: ({ attempts }, now) => {
      if (attempts >= rules.now.attemptsMax) return "give-up"
      const index = slot(now)
      if (total(now) < one) return "give-up"
      balance[index] = balance[index]! - one
      return "elsewhere"
    },
  }
}
