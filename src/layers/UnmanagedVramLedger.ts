/**
 * A ledger for fleets whose memory is not known: Ollama manages it.
 *
 * @since 0.1.0
 */
import { Layer } from "effect"
import { type Allocation, type AllocationState, type NoRoom, VramLedger } from "../services/VramLedger.ts"

const isLoading = (state: AllocationState): boolean => state === "reserved" || state === "loading"

/**
 * Keeps account of allocations and refuses only a second load on a backend where one has not ended.
 *
 * **Details**
 *
 * Loads are serial because Ollama's scheduler loads one model at a time anyway, and because two unmeasured models that load at once may both
 * believe in the same free memory. `managed` is false: whether a model fits is for Ollama to say, and spills are only reported.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<VramLedger> = Layer.sync(VramLedger, () => {
  const held = new Set<Allocation>()
  return VramLedger.of({
    managed: false,
    allocations: () => Array.from(held),
    reserve: (backend, model): Allocation | NoRoom => {
      for (const other of held) {
        if (other.backend === backend.id && isLoading(other.state())) {
          return { _tag: "NoRoom", reason: `${other.model} is loading on ${backend.id}` }
        }
      }
      let state: AllocationState = "reserved"
      const allocation: Allocation = {
        backend: backend.id,
        model,
        state: () => state,
        move: (to) => {
          if (state === "gone") return
          state = to
          if (to === "gone") held.delete(allocation)
        },
      }
      held.add(allocation)
      return allocation
    },
  })
})
