/**
 * Footprints of simulated models: exactly the bytes that their server will allocate.
 *
 * @since 0.1.0
 */
import { Effect, Layer } from "effect"
import { ModelFootprints } from "../services/Footprint.ts"
import { footprint } from "./scheduler/gpuMemory.ts"
import { parallelismOf, runnerOptions } from "./scheduler/options.ts"
import { SimulatedFleet } from "./SimulatedFleet.ts"

/**
 * The bytes that each simulated server will allocate. A model that is on no simulated server is unknown.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<ModelFootprints, never, SimulatedFleet> = Layer.effect(
  ModelFootprints,
  Effect.map(SimulatedFleet, ({ servers }) =>
    ModelFootprints.of({
      of: ({ key }, backend, { context }) => {
        const server = servers.get(backend.url)
        const model = server?.disk.find(key)
        if (server === undefined || model === undefined) return undefined
        const options = runnerOptions(model, { num_ctx: context }, true, context)
        const total = Math.ceil(footprint(model, options, parallelismOf(model, server.settings.parallelism)))
        return { parts: undefined, total, margin: 0, reserve: total, source: "estimated" }
      },
      geometry: () => undefined,
      learn: () => ({ before: undefined, after: undefined, exceeded: 0 }),
      prepare: () => Effect.void,
      version: () => 0,
    })),
)
