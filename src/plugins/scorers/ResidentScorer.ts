/**
 * Prefers backends that have the model in memory.
 *
 * @since 0.1.0
 */
import type { Scorer } from "../../services/Plugin.ts"

/**
 * 1 where the model is in memory, 0.5 where it is loading, else 0.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (): Scorer => ({
  kind: "scorer",
  name: "resident",
  score: (view, demand) => {
    const state = view.residency(demand.model)
    return state === "resident" ? 1 : state === "loading" ? 0.5 : 0
  },
})
