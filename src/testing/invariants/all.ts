/**
 * A checker for each invariant of a router:
 *
 * 1. memory: allocations never exceed a device's capacity
 * 2. leases: every lease and permit is given back, once
 * 3. unloads: what is busy, pinned or loading is not unloaded
 * 4. queues: bounded, and everyone gets one answer
 * 5. attempts: none after a byte was passed on
 * 6. breaking: open lets nothing through, half-open one
 * 7. bytes: streams are whole, or say that they are not
 * 8. loads: one at a time on a backend and a device
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
import type { Checker } from "./sights.ts"
import { trace } from "./trace.ts"
import { unloads } from "./unloads.ts"

/** What the router under watch was configured with. @category models @since 0.1.0 */
export interface Bounds {
  /** Bytes of each device that stay free. */
  readonly reserve: number
  /** Requests that may wait for one model. */
  readonly queueCapacity: number
  /** Bytes of bodies that may wait in all. */
  readonly queueBytes: number
  /** Attempts that a request may have. */
  readonly attempts: number
  /** Whether classes are what they were at arrival, so that what is fair within one can be told. */
  readonly fair: boolean
}

/** All ten, and a number that stands for everything they saw. @category constructors @since 0.1.0 */
export const all = (bounds: Bounds): { readonly checkers: ReadonlyArray<Checker>; readonly hash: () => string } => {
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
      ...(bounds.fair ? [fairness()] : []),
      traced,
    ],
  }
}
