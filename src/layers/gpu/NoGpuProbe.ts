/**
 * A probe that reads nothing, for machines whose devices cannot be read.
 *
 * @since 0.1.0
 */
import { Effect, Layer } from "effect"
import { GpuProbe } from "../../services/GpuProbe.ts"

/**
 * Shows no device. That is not the same as "no memory": capacity stays unknown.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<GpuProbe> = Layer.succeed(GpuProbe, {
  source: "none",
  read: Effect.succeed({ source: "none", passedOver: [], devices: [] }),
})
