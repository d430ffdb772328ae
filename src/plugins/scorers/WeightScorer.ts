/**
 * Prefers backends of higher weight, busy or not.
 *
 * @since 0.1.0
 */
import type { Scorer } from "../../services/Plugin.ts"

/**
 * The backend's weight over the highest weight among the owners of the model: 1 for the heaviest backend, 1/2 for a
 * backend of half its weight.
 *
 * **Details**
 *
 * With `WeightedRandomPicker` and no other scorer, requests are divided in proportion to the weights. To count running
 * streams as well, use `LeastBusyScorer`, which prefers the backend with the least load for its weight.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (): Scorer => ({
  kind: "scorer",
  name: "weight",
  score: ({ backend }, demand, fleet) => {
    let highest = backend.weight
    for (const view of fleet.owners(demand.model)) highest = Math.max(highest, view.backend.weight)
    return backend.weight / highest
  },
})
