/**
 * Footprints of simulated models, as their server will really take them.
 *
 * @since 0.1.0
 */
import { Effect, Layer } from "effect"
import { footprint } from "../layers/simulated/memory.ts"
import { parallelismOf, runnerOptions } from "../layers/simulated/options.ts"
import { SimulatedFleet } from "../layers/SimulatedFleet.ts"
import { type Footprint, ModelFootprints } from "../services/Footprint.ts"

const known = (total: number): Footprint => ({
  parts: undefined,
  total,
  margin: 0,
  reserve: total,
  source: "estimated",
})

/** As their server will really take them. @category layers @since 0.1.0 */
export const simulated: Layer.Layer<ModelFootprints, never, SimulatedFleet> = Layer.effect(
  ModelFootprints,
  Effect.map(SimulatedFleet, ({ servers }) =>
    ModelFootprints.of({
      of: ({ key }, backend, { context }) => {
        const server = servers.get(backend.url)
        const model = server?.disk.find(key)
        if (server === undefined || model === undefined) return undefined
        const options = runnerOptions(model, { num_ctx: context }, true, context)
        return known(Math.ceil(footprint(model, options, parallelismOf(model, server.settings.parallelism))))
      },
      geometry: () => undefined,
      learn: () => ({ before: undefined, after: undefined, exceeded: 0 }),
      prepare: () => Effect.void,
      version: () => 0,
    })),
)

/** So many bytes for each model, by canonical key. @category layers @since 0.1.0 */
export const table = (bytes: Readonly<Record<string, number>>): Layer.Layer<ModelFootprints> =>
  Layer.succeed(ModelFootprints, {
    of: ({ key }) => bytes[key] === undefined ? undefined : known(bytes[key]),
    geometry: () => undefined,
    learn: () => ({ before: undefined, after: undefined, exceeded: 0 }),
    prepare: () => Effect.void,
    version: () => 0,
  })
