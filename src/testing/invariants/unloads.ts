import type { Checker, There } from "./sights.ts"

/** Counts of what is somewhere. */
class Tally {
  private readonly counts = new Map<string, number>()
  add({ backend, model }: There, change: 1 | -1): void {
    const key = `${backend} ${model}`
    this.counts.set(key, (this.counts.get(key) ?? 0) + change)
  }
  of({ backend, model }: There): number {
    return this.counts.get(`${backend} ${model}`) ?? 0
  }
}

/** Invariant 3: what is busy, pinned or loading is not unloaded. */
export const unloads = (): Checker => {
  const busy = new Tally()
  const pinned = new Tally()
  const loading = new Tally()
  const using = new Set<There>()
  return {
    invariant: 3,
    name: "unloads",
    see: {
      leased: ({ lease, uses }) => void (uses && (busy.add(lease, 1), using.add(lease))),
      released: ({ lease }) => {
        if (using.delete(lease)) busy.add(lease, -1)
      },
      pinned: (there) => pinned.add(there, 1),
      unpinned: (there) => pinned.add(there, -1),
      loading: (there) => loading.add(there, 1),
      loaded: (there) => loading.add(there, -1),
      unloading: (there) => {
        const why = busy.of(there) > 0
          ? "busy"
          : pinned.of(there) > 0
          ? "pinned"
          : loading.of(there) > 0
          ? "loading"
          : undefined
        return why === undefined ? undefined : `${there.model} was unloaded on ${there.backend} while ${why}`
      },
    },
  }
}
