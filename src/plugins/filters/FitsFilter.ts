/**
 * Drops backends that a model can never fit into.
 *
 * @since 0.1.0
 */
import type { Filter } from "../../services/Plugin.ts"

/**
 * Keeps a backend that has the model in memory, and one whose devices, when empty, have room for it. Where the memory
 * or the model's needs are not known, the backend is kept. `MemoryVramLedger` says of a model that fits on no backend
 * that it needs all memory of one, so that it is not refused: Ollama puts a part of it into system memory.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (): Filter => ({
  kind: "filter",
  name: "fits",
  keep: (view, { model }) => {
    if (model.remote || view.residency(model) === "resident") return true
    const memory = view.memory(model)
    return memory?.needs === undefined || memory.needs <= memory.limit
  },
})
