/**
 * Prefers backends of higher weight, busy or not.
 *
 * @since 0.1.0
 */
import type { BackendView } from "../../services/FleetView.ts"
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
export const make = (): Scorer => {
  let last: { readonly owners: ReadonlyArray<BackendView>; readonly highest: number } | undefined
  /** The list of owners stays the same array until members change, and with them the weights. */
  const highestOf = (owners: ReadonlyArray<BackendView>): number => {
    if (last?.owners !== owners) {
      last = { owners, highest: owners.reduce((highest, { backend }) => Math.max(highest, backend.weight), 0) }
    }
    return last.highest
  }
  return {
    kind: "scorer",
    name: "weight",
    score: ({ backend }, demand, fleet) =>
      backend.weight / Math.max(backend.weight, highestOf(fleet.owners(demand.model))),
  }
}
