import type { Checker, There } from "./sights.ts"

/** Invariant 2: a lease is given back exactly once, permits with it, and an idle router holds nothing. */
export const leases = (): Checker => {
  const held = new Set<There>()
  let permits = 0
  const recorded = new Set<object>()
  return {
    invariant: 2,
    name: "leases",
    see: {
      leased: ({ lease }) => void held.add(lease),
      released: ({ lease }) => void held.delete(lease),
      counted: (count) =>
        count === held.size ? undefined : `${count} leases are held by the router's books, ${held.size} by these`,
      permit: ({ permit }) => void (permit !== undefined && permits++),
      recorded: ({ permit }) => {
        if (recorded.has(permit)) return
        recorded.add(permit)
        permits--
        // Only that none is missing is told from it; and a million of them need not be kept.
        if (permits === 0) recorded.clear()
      },
      idle: ({ active, allocations, exchanges, leases, queues, resident, streams }) => {
        if (held.size > 0) return `${held.size} leases were never given back`
        if (permits !== 0) return `${permits} permits were never recorded`
        const left = { active, leases, exchanges, queues, streams }
        for (const [name, count] of Object.entries(left)) if (count !== 0) return `idle with ${count} ${name}`
        if (allocations !== undefined && allocations.join() !== resident.join()) {
          return `charged is ${allocations.join()}, resident ${resident.join()}`
        }
      },
    },
  }
}
