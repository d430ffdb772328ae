/**
 * Drops backends that a model can never fit into.
 *
 * @since 0.1.0
 */
import type { Filter } from "../../services/Plugin.ts"

/**
 * Where memory is managed, what a load needs must fit into the empty devices; what is in memory fits. Where nothing is known, everything is kept.
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
