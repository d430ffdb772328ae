/**
 * Nothing is loaded before it is asked for.
 *
 * @since 0.1.0
 */
import { Layer } from "effect"
import { Prewarmer } from "../../../services/Prewarmer.ts"

/**
 * No plans, so always ready.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<Prewarmer> = Layer.succeed(Prewarmer, { status: () => [], ready: () => true })
