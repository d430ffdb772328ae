/**
 * Allocations without bytes, for backends whose memory is not managed: they only show which loads are under way.
 *
 * @since 0.1.0
 */
import type { Backend } from "../../../services/Fleet.ts"
import type { Allocation, AllocationState, NoRoom } from "../../../services/VramLedger.ts"

/** Whether the load of an allocation has not ended. @category predicates @since 0.1.0 */
export const isLoading = (state: AllocationState): boolean => state === "reserved" || state === "loading"

/**
 * Refuses a second load on a backend while one is under way, and nothing else.
 *
 * @category models
 * @since 0.1.0
 */
export class UnchargedAllocations {
  readonly held: Set<Allocation> = new Set()
  private readonly changed: () => void
  private readonly loaded: () => void

  /** `changed` is called when an allocation is gone; `loaded` is called after each load that has ended. */
  constructor(changed: () => void, loaded: () => void = () => {}) {
    this.changed = changed
    this.loaded = loaded
  }

  reserve(backend: Backend, model: string): Allocation | NoRoom {
    for (const other of this.held) {
      if (other.backend === backend.id && isLoading(other.state())) {
        return { _tag: "NoRoom", reason: `${other.model} is loading on ${backend.id}`, freeing: [], never: false }
      }
    }
    return this.add(backend, model, "reserved")
  }

  adopt(backend: Backend, model: string): Allocation {
    return this.add(backend, model, "resident")
  }

  private add(backend: Backend, model: string, first: AllocationState): Allocation {
    let state = first
    const allocation: Allocation = {
      backend: backend.id,
      model,
      shares: () => [],
      state: () => state,
      move: (to) => {
        if (state === "gone") return
        if (isLoading(state) && !isLoading(to)) this.loaded()
        // No reading can show that its memory is free, so nothing waits for it.
        state = to === "releasing" ? "gone" : to
        if (state === "gone") {
          this.held.delete(allocation)
          this.changed()
        }
      },
    }
    this.held.add(allocation)
    return allocation
  }
}
