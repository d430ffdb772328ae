/**
 * Ranks every owner of the model in the order of the fleet, without filters or scores: for tests.
 *
 * @since 0.1.0
 */
import { Layer } from "effect"
import { Placement } from "../../services/Placement.ts"

/** @category layers @since 0.1.0 */
export const layer: Layer.Layer<Placement> = Layer.succeed(Placement, {
  rank: (demand, fleet) => {
    const candidates = fleet.owners(demand.model)
      .filter((view) => !demand.excluded.includes(view.backend.id))
      .map((view) => ({ view, score: 0 }))
    return { size: candidates.length, [Symbol.iterator]: () => candidates[Symbol.iterator]() }
  },
  explain: (demand, fleet) =>
    fleet.backends.map((view) => ({
      backend: view.backend.id,
      droppedBy: view.owns(demand.model)
        ? demand.excluded.includes(view.backend.id) ? "already-tried" : undefined
        : "has-model",
      scores: {},
      total: 0,
    })),
})
