/**
 * When a circuit has failed often enough.
 *
 * @since 0.1.0
 */
import type { CircuitBreaker } from "effect/persistence"

/** What one circuit has seen while closed. @category models @since 0.1.0 */
export interface Trip {
  /** Counts one outcome. Whether the circuit opens: only ever on a failure. */
  readonly count: (failed: boolean) => boolean
  /** Forgets what it has seen. */
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

/** The part of failures among the last `size` outcomes, of which there must be `callsMin`. */
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
