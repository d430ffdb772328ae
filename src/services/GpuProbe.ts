/**
 * Reads devices: how much memory there is, how much is free. Unknown is `Option.none`, never zero.
 *
 * @since 0.1.0
 */
import { type ByteSize, Context, type Effect, type Option, Schema } from "effect"

/**
 * One device at one moment.
 *
 * @category models
 * @since 0.1.0
 */
export interface GpuReading {
  /** `GPU-…`, `MIG-…`, or `system` for the system's memory. */
  readonly uuid: string
  readonly name: string
  readonly total: Option.Option<ByteSize.ByteSize>
  readonly free: Option.Option<ByteSize.ByteSize>
  readonly used: Option.Option<ByteSize.ByteSize>
  /** Of 1. */
  readonly utilisation: Option.Option<number>
}

/** The library or tool that reads the device is not there. @category errors @since 0.1.0 */
export class ProbeMissing extends Schema.TaggedError<ProbeMissing>()("ProbeMissing", { description: Schema.String }) {}

/** It is there and did not answer, or answered nonsense. @category errors @since 0.1.0 */
export class ProbeFailed extends Schema.TaggedError<ProbeFailed>()("ProbeFailed", { description: Schema.String }) {}

/**
 * The one error a caller of `GpuProbe` sees.
 *
 * @category errors
 * @since 0.1.0
 */
export class GpuProbeError extends Schema.TaggedError<GpuProbeError>()("GpuProbeError", {
  reason: Schema.Union([ProbeMissing, ProbeFailed]),
}) {}

/**
 * Reads every device once.
 *
 * @category services
 * @since 0.1.0
 */
export class GpuProbe extends Context.Service<GpuProbe, {
  readonly read: Effect.Effect<ReadonlyArray<GpuReading>, GpuProbeError>
}>()("llamero/services/GpuProbe") {}
