/**
 * When circuits open and for how long, from the options of the layer.
 *
 * @since 0.1.0
 */
import { Duration } from "effect"
import { CircuitBreaker } from "effect/persistence"
import type { Policy } from "./Circuit.ts"
import * as Trip from "./trip.ts"

/** The options that make a policy; the defaults are stated in `LocalBreaker.Options`. @category models @since 0.1.0 */
export interface PolicyOptions {
  readonly trip?: CircuitBreaker.TripPolicy | undefined
  readonly openDuration?: Duration.Input | undefined
  readonly openDurationMax?: Duration.Input | undefined
  readonly jitter?: number | undefined
}

/**
 * Checks the options and returns the policy for a source of random numbers in [0, 1). The n-th opening lasts
 * `openDuration * 2^n`, at most `openDurationMax`, minus a random part of it up to `jitter`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (options: PolicyOptions | undefined): (random: () => number) => Policy => {
  const trip = options?.trip ?? CircuitBreaker.consecutive(5)
  const first = Duration.toMillis(Duration.fromInputUnsafe(options?.openDuration ?? "30 seconds"))
  const longest = Math.max(
    first,
    Duration.toMillis(Duration.fromInputUnsafe(options?.openDurationMax ?? "5 minutes")),
  )
  const jitter = options?.jitter ?? 0.1
  if (!(first > 0)) throw new RangeError(`LocalBreaker.layer: openDuration must be above 0, got ${first} ms`)
  if (!(jitter >= 0 && jitter < 1)) {
    throw new RangeError(`LocalBreaker.layer: jitter must be at least 0 and below 1, got ${jitter}`)
  }
  return (random) => ({
    trip: () => Trip.make(trip),
    openMillis: (openings) => Math.ceil(Math.min(first * 2 ** openings, longest) * (1 - jitter * random())),
  })
}
