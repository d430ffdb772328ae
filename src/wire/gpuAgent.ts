/**
 * The HTTP interface between a GPU agent and the probes that read it.
 *
 * @since 0.1.0
 */
import { Schema } from "effect"
import { GpuProbeError } from "../services/GpuProbe.ts"

/** The path of the readings. @category constants @since 0.1.0 */
export const path = "/gpus"

/** The body of a 503, which says that the agent cannot read its GPUs. @category models @since 0.1.0 */
export const Refused = Schema.Struct({ error: GpuProbeError })
