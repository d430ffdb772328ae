/**
 * Allocations without bytes: which loads are under way where memory is not managed.
 *
 * @since 0.1.0
 */
import type { Backend } from "../../../services/Fleet.ts"
import type { Allocation, AllocationState, NoRoom } from "../../../services/VramLedger.ts"
import * as Listeners from "../../../support/listeners.ts"

/** Whether an allocation's load has not ended. @category predicates @since 0.1.0 */
export const isLoading = (state: AllocationState): boolean => state === "reserved" || state === "loading"

/**
 * One load at a time on each backend, and nothing else refused.
 *
 * @category models
 * @since 0.1.0
 */
export class PlainAllocations {
  readonly held = new Set<Allocation>()
  readonly changed = Listeners.make<void>()
  private readonly loaded: () => void

  /** `loaded` hears of every load that has ended. */
  constructor(loaded: () => void = () => {}) {
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
        // Nobody can see its memory come back, so nothing waits for it.
        state = to === "releasing" ? "gone" : to
        if (state === "gone") {
          this.held.delete(allocation)
          this.changed.notify()
        }
      },
    }
    this.held.add(allocation)
    return allocation
  }
}
