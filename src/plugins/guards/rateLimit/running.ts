/**
 * Counts the running requests of each key and tenant.
 *
 * @since 0.1.0
 */
import { SweptMap } from "../../../support/sweptMap.ts"

/** The number of running requests of one key or tenant. @internal */
export interface Running {
  count: number
}

/**
 * Finds the counter of a name, or makes it. Those without running requests are forgotten: where clients name their
 * tenant, they could invent many.
 *
 * @internal
 */
export const counters = (): (name: string) => Running => {
  const byName = new SweptMap<Running>({ isIdle: ({ count }) => count === 0 })
  return (name) => byName.getOrMake(name, () => ({ count: 0 }))
}
