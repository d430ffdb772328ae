/** A checker for each invariant of the design. */
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

export interface Bounds {
  readonly reserve: number
  readonly queueCapacity: number
  readonly queueBytes: number
  readonly attempts: number
  /** Whether classes are what they were at arrival, so that what is fair within one can be told. */
  readonly fair: boolean
}

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
