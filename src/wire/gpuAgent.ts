/**
 * What an agent and its readers agree on.
 *
 * @since 0.1.0
 */
import { Schema } from "effect"
import { GpuProbeError } from "../services/GpuProbe.ts"

/** @category constants @since 0.1.0 */
export const path = "/gpus"

/** The body of a 503. @category models @since 0.1.0 */
export const Refused = Schema.Struct({ error: GpuProbeError })
