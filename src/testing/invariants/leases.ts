import type { ModelOnBackend } from "./observations.ts"
import type { Checker } from "./watch.ts"

/**
 * Invariant 2: each lease is released exactly once, and its permit with it. An idle router holds nothing.
 *
 * **Details**
 *
 * Exercised by leases released after a success, after a failure, and after an outcome that says nothing of the backend,
 * such as a client that left.
 */
export const leases = (): Checker => {
  const held = new Set<ModelOnBackend>()
  let permits = 0
  const recorded = new Set<object>()
  const releases = { success: 0, failure: 0, ignored: 0, saturated: 0 }
  return {
    invariant: 2,
    name: "leases",
    exercised: () => ({
      "leases released after a success": releases.success,
      "leases released after a failure": releases.failure,
      "leases released with an ignored outcome": releases.ignored,
    }),
    on: {
      leased: ({ lease }) => void held.add(lease),
      released: ({ lease, outcome }) => {
        if (held.delete(lease)) releases[outcome.kind]++
      },
      counted: (count) => count === held.size ? undefined : `Leases says that ${count} are held, and ${held.size} are`,
      permit: ({ permit }) => void (permit !== undefined && permits++),
      recorded: ({ permit }) => {
        if (recorded.has(permit)) return
        recorded.add(permit)
        permits--
        // The set only keeps a permit from being counted twice; without an open permit nothing of it is needed.
        if (permits === 0) recorded.clear()
      },
      idle: ({ active, allocations, exchanges, leases, queues, resident, streams }) => {
        if (held.size > 0) return `${held.size} leases were never released`
        if (permits !== 0) return `${permits} permits were never recorded`
        const left = { active, leases, exchanges, queues, streams }
        for (const [name, count] of Object.entries(left)) if (count !== 0) return `idle with ${count} ${name}`
        if (allocations !== undefined && allocations.join() !== resident.join()) {
          return `the ledger charges ${allocations.join()}, and ${resident.join()} is in memory`
        }
      },
    },
  }
}
