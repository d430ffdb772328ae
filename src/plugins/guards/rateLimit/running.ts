/**
 * Counts the running requests of each key and tenant.
 *
 * @since 0.1.0
 */

/** Names that are kept before the idle ones are removed: where clients name their tenant, they could invent many. */
const namesMax = 10_000

/** The number of running requests of one key or tenant. @internal */
export interface Running {
  count: number
}

/** Finds the counter of a name, or makes it. @internal */
export const counters = (): (name: string) => Running => {
  const byName = new Map<string, Running>()
  return (name) => {
    const known = byName.get(name)
    if (known !== undefined) return known
    if (byName.size >= namesMax) { for (const [other, { count }] of byName) if (count === 0) byName.delete(other) }
    const made = { count: 0 }
    byName.set(name, made)
    return made
  }
}
