/**
 * Loads no model before a request asks for it.
 *
 * @since 0.1.0
 */
import { Layer } from "effect"
import { Prewarmer } from "../../../services/Prewarmer.ts"

/**
 * A prewarmer without plans, which is always ready.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<Prewarmer> = Layer.succeed(Prewarmer, { status: () => [], ready: () => true })
