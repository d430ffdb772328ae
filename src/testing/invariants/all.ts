/**
 * A checker for each invariant of a router:
 *
 * 1. memory: allocations never exceed the capacity of a device
 * 2. leases: each lease and permit is released, once
 * 3. unloads: a busy, pinned or loading model is not unloaded
 * 4. queues: they keep to their bounds, and every request gets one answer
 * 5. attempts: none after a byte was passed on
 * 6. breaking: an open breaker lets nothing through, a half-open one a single trial
 * 7. bytes: streams are whole, or say that they are not
 * 8. loads: one at a time on a backend and on a device
 * 9. fairness: tenants of one class take turns
 * 10. trace: the same seed gives the same history
 *
 * @since 0.1.0
 */
import { attempts } from "./attempts.ts"
import { breaking } from "./breaking.ts"
import { bytes } from "./bytes.ts"
import { fairness } from "./fairness.ts"
import { leases } from "./leases.ts"
import { loads } from "./loads.ts"
import { memory } from "./memory.ts"
import { queues } from "./queues.ts"
import { trace } from "./trace.ts"
import { unloads } from "./unloads.ts"
import type { Checker } from "./watch.ts"

/** How the router that is watched was configured. @category models @since 0.1.0 */
export interface Bounds {
  /** Bytes of each device that stay free. */
  readonly reserve: number
  /** Requests that may wait for one model. */
  readonly queueCapacity: number
  /** Bytes of bodies that may wait, over all models. */
  readonly queueBytes: number
  /** Milliseconds after which a waiting request counts as one class better; `Infinity` for never. */
  readonly ageMillis: number
  /** Attempts that a request may have. */
  readonly attempts: number
}

/**
 * A checker for each of the ten invariants, and a hash over everything that they observed.
 *
 * @category constructors
 * @since 0.1.0
 */
export const all = (
  bounds: Bounds,
): { readonly checkers: ReadonlyArray<Checker>; readonly hash: () => string } => {
  const traced = trace()
  return {
    hash: traced.hash,
    checkers: [
      memory({ reserve: bounds.reserve }),
      leases(),
      unloads(),
      queues({ capacity: bounds.queueCapacity, bytes: bounds.queueBytes }),
      attempts({ most: bounds.attempts }),
      breaking(),
      bytes(),
      loads(),
      fairness({ ageMillis: bounds.ageMillis }),
      traced,
    ],
  }
}
