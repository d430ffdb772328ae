/**
 * Prefers backends with free memory for a model.
 *
 * @since 0.1.0
 */
import type { Scorer } from "../../services/Plugin.ts"

/**
 * 1 where the model is in memory; else the share of the memory that would be free after a load. 0 where another model
 * would have to be unloaded first, or where the memory is not known.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (): Scorer => ({
  kind: "scorer",
  name: "free-memory",
  score: (view, { model }) => {
    if (model.remote || view.residency(model) === "resident") return 1
    const memory = view.memory(model)
    return memory?.needs === undefined || memory.limit <= 0 ? 0 : Math.max(0, memory.room - memory.needs) / memory.limit
  },
})
