import type { ModelOnBackend } from "./observations.ts"
import type { Checker } from "./watch.ts"

/** Counts for each model on each backend. */
class Tally {
  private readonly counts = new Map<string, Map<string, number>>()
  add({ backend, model }: ModelOnBackend, change: 1 | -1): void {
    const models = this.counts.get(backend) ?? new Map<string, number>()
    this.counts.set(backend, models)
    models.set(model, (models.get(model) ?? 0) + change)
  }
  of({ backend, model }: ModelOnBackend): number {
    return this.counts.get(backend)?.get(model) ?? 0
  }
  /** Whether another model of the backend has a count. */
  others({ backend, model }: ModelOnBackend): boolean {
    for (const [other, count] of this.counts.get(backend) ?? []) if (other !== model && count > 0) return true
    return false
  }
}

/**
 * Invariant 3: a busy, pinned or loading model is never unloaded.
 *
 * **Details**
 *
 * Exercised by unloads, and by unloads on a backend that had another model in use, which a wrong choice would have hit.
 */
export const unloads = (): Checker => {
  const busy = new Tally()
  const pinned = new Tally()
  const loading = new Tally()
  const using = new Set<ModelOnBackend>()
  const counts = { all: 0, chosen: 0 }
  return {
    invariant: 3,
    name: "unloads",
    exercised: () => ({ "unloads": counts.all, "unloads beside a model in use": counts.chosen }),
    on: {
      leased: ({ lease, uses }) => void (uses && (busy.add(lease, 1), using.add(lease))),
      released: ({ lease }) => {
        if (using.delete(lease)) busy.add(lease, -1)
      },
      pinned: (where) => pinned.add(where, 1),
      unpinned: (where) => pinned.add(where, -1),
      loading: (where) => loading.add(where, 1),
      loaded: (where) => loading.add(where, -1),
      unloading: (where) => {
        counts.all++
        if (busy.others(where) || pinned.others(where) || loading.others(where)) counts.chosen++
        const why = busy.of(where) > 0
          ? "busy"
          : pinned.of(where) > 0
          ? "pinned"
          : loading.of(where) > 0
          ? "loading"
          : undefined
        return why === undefined ? undefined : `${where.model} was unloaded on ${where.backend} while ${why}`
      },
    },
  }
}
