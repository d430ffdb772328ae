/**
 * What every `Placement` must do.
 *
 * @since 0.1.0
 */
import { Effect, type Layer, Schema } from "effect"
import { Placement } from "../../services/Placement.ts"
import * as assert from "../assert.ts"
import { type Check, property } from "../checks.ts"
import { demandFor, modelOn } from "../demands.ts"
import { fleetOf } from "../views.ts"

/** For profiles that drop no healthy owner of the model. @category contracts @since 0.1.0 */
export const contract = (layer: Layer.Layer<Placement, unknown>): ReadonlyArray<Check> => [
  property(
    "ranks each owner that was not tried at most once, and nothing else",
    {
      owners: Schema.Array(Schema.Literals(["a", "b", "c", "d"])),
      tried: Schema.Array(Schema.Literals(["a", "b", "c", "d"])),
    },
    ({ owners, tried }) =>
      Effect.gen(function* () {
        const placement = yield* Placement
        const fleet = fleetOf(["a", "b", "c", "d"])
        const demand = demandFor(modelOn("m:latest", ...owners), { excluded: tried })
        const ranking = placement.rank(demand, fleet)
        const ids = Array.from(ranking, ({ view }) => view.backend.id)
        assert.lengthOf(ids, ranking.size)
        assert.strictEqual(new Set(ids).size, ids.length)
        for (const id of ids) assert.isTrue(owners.includes(id as never) && !tried.includes(id as never))
        // Ranking changes nothing: asked again, it gives the same.
        assert.deepStrictEqual(Array.from(placement.rank(demand, fleet), ({ view }) => view.backend.id), ids)
        const explained = placement.explain(demand, fleet).filter((one) => one.droppedBy === undefined)
        assert.sameMembers(explained.map((one) => one.backend), ids)
      }).pipe(Effect.provide(layer)),
    { runs: 200, seed: "placement" },
  ),
]
