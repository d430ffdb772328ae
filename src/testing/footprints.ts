/**
 * Footprints from a table.
 *
 * @since 0.1.0
 */
import { Effect, Layer } from "effect"
import { type Footprint, ModelFootprints } from "../services/Footprint.ts"

const known = (total: number): Footprint => ({
  parts: undefined,
  total,
  margin: 0,
  reserve: total,
  source: "estimated",
})

/**
 * The bytes of each model, by canonical key. A model that is not in the table is not known.
 *
 * @category layers
 * @since 0.1.0
 */
export const table = (bytes: Readonly<Record<string, number>>): Layer.Layer<ModelFootprints> =>
  Layer.succeed(ModelFootprints, {
    of: ({ key }) => bytes[key] === undefined ? undefined : known(bytes[key]),
    geometry: () => undefined,
    learn: () => ({ before: undefined, after: undefined, exceeded: 0 }),
    prepare: () => Effect.void,
    version: () => 0,
  })
