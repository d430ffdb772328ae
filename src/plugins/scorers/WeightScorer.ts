/**
 * Prefers backends of higher weight, busy or not.
 *
 * @since 0.1.0
 */
import type { Scorer } from "../../services/Plugin.ts"

/**
 * The backend's weight over the highest among the model's owners.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (): Scorer => ({
  kind: "scorer",
  name: "weight",
  score: ({ backend }, demand, fleet) => {
    let most = backend.weight
    for (const view of fleet.owners(demand.model)) most = Math.max(most, view.backend.weight)
    return backend.weight / most
  },
})
