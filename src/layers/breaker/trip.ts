/**
 * Counts outcomes and decides when a circuit has failed often enough to open.
 *
 * The rules are those of Effect's `CircuitBreaker.TripPolicy`. The counting is written here because Effect does it
 * inside `CircuitBreakerStore.record`, which is asynchronous.
 *
 * @since 0.1.0
 */
import type { CircuitBreaker } from "effect/persistence"

/** The counter of one closed circuit. @category models @since 0.1.0 */
export interface Trip {
  /** Counts one outcome and returns whether the circuit has to open. Only a failure can open it. */
  readonly count: (failed: boolean) => boolean
  /** Forgets all outcomes. */
  readonly reset: () => void
}

const consecutive = (failuresMax: number): Trip => {
  let failures = 0
  return {
    count: (failed) => {
      failures = failed ? failures + 1 : 0
      return failures >= failuresMax
    },
    reset: () => {
      failures = 0
    },
  }
}

/** Opens when the share of failures among the last `size` outcomes reaches `threshold`, from `callsMin` outcomes on. */
const rate = (threshold: number, callsMin: number, size: number): Trip => {
  const ring = new Uint8Array(size)
  let calls = 0
  let failures = 0
  let next = 0
  return {
    count: (failed) => {
      if (calls === size) failures -= ring[next]!
      else calls++
      ring[next] = failed ? 1 : 0
      failures += ring[next]!
      next = (next + 1) % size
      return failed && calls >= callsMin && failures / calls >= threshold
    },
    reset: () => {
      calls = 0
      failures = 0
      next = 0
    },
  }
}

/** A counter for one circuit. @category constructors @since 0.1.0 */
export const make = (policy: CircuitBreaker.TripPolicy): Trip =>
  policy._tag === "Consecutive"
    ? consecutive(policy.failures)
    : rate(policy.threshold, policy.minimumCalls, policy.size)
