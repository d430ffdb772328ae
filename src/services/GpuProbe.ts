/**
 * Reads devices: how much memory there is, how much is free, whether they work. Unknown is `Option.none`, never zero.
 *
 * **Example** (What is free on each device)
 *
 * ```ts
 * import { ByteSize, Effect, Option } from "effect"
 * import { GpuProbe } from "llamero"
 *
 * const lines = Effect.gen(function* () {
 *   const probe = yield* GpuProbe.GpuProbe
 *   const { devices, source } = yield* probe.read
 *   return devices.map(({ free, name }) =>
 *     `${name}: ${Option.match(free, { onNone: () => "unknown", onSome: (bytes) => ByteSize.format(bytes) })} free (${source})`
 *   )
 * })
 * ```
 *
 * @since 0.1.0
 */
import { Context, type Effect, Option, Schema } from "effect"

/**
 * What a device is.
 *
 * - `gpu`: memory of its own
 * - `mig`: a slice of a GPU with memory of its own; the GPU it belongs to is then not listed
 * - `integrated`: a GPU that shares the system's memory; do not add the two up
 * - `system`: the system's memory, for backends that run on the CPU
 *
 * @category models
 * @since 0.1.0
 */
export type DeviceKind = "gpu" | "mig" | "integrated" | "system"

/** Something watches the device and saw no fault. @category models @since 0.1.0 */
export class Healthy extends Schema.TaggedClass<Healthy>()("Healthy", {}) {}

/** The device must get no new work, and why. @category models @since 0.1.0 */
export class Unhealthy extends Schema.TaggedClass<Unhealthy>()("Unhealthy", { reason: Schema.String }) {}

/** Memory that one process holds on a device, where the source can tell. @category models @since 0.1.0 */
export const DeviceProcess = Schema.Struct({
  /** As the driver knows it: in a container that is the host's number. Do not join on it. */
  pid: Schema.Int,
  used: Schema.OptionFromNullOr(Schema.ByteSizeFromNumber),
})

/**
 * One device at one moment. As a schema, because agents send it over HTTP (bytes as numbers, unknown as `null`).
 *
 * @category models
 * @since 0.1.0
 */
export const GpuReading = Schema.Struct({
  /** `GPU-…`, `MIG-…`, `pci-…` where the device has no number of its own, or `system`. The same device has the same one in every source that can tell. */
  uuid: Schema.String,
  name: Schema.String,
  kind: Schema.Literals(["gpu", "mig", "integrated", "system"]),
  total: Schema.OptionFromNullOr(Schema.ByteSizeFromNumber),
  /** What may still be allocated. Account with this and `total`. */
  free: Schema.OptionFromNullOr(Schema.ByteSizeFromNumber),
  /** For display: sources differ in whether they count what the driver keeps for itself. */
  used: Schema.OptionFromNullOr(Schema.ByteSizeFromNumber),
  /** Of 1. */
  utilisation: Schema.OptionFromNullOr(Schema.Finite),
  /** Degrees Celsius. */
  temperature: Schema.OptionFromNullOr(Schema.Finite),
  /** Watts. */
  power: Schema.OptionFromNullOr(Schema.Finite),
  /** None where nothing watches the device. */
  health: Schema.OptionFromNullOr(Schema.Union([Healthy, Unhealthy])),
  /** None where they were not asked for or cannot be seen. */
  processes: Schema.OptionFromNullOr(Schema.Array(DeviceProcess)),
})

/** @category models @since 0.1.0 */
export interface GpuReading extends Schema.Schema.Type<typeof GpuReading> {}

/** A device of which only this much is known. @category constructors @since 0.1.0 */
export const unknown = (uuid: string, name: string, kind: DeviceKind): GpuReading => ({
  uuid,
  name,
  kind,
  total: Option.none(),
  free: Option.none(),
  used: Option.none(),
  utilisation: Option.none(),
  temperature: Option.none(),
  power: Option.none(),
  health: Option.none(),
  processes: Option.none(),
})

/** A source that did not answer, in words. @category models @since 0.1.0 */
export const PassedOver = Schema.Struct({
  source: Schema.String,
  /** The tag of its `GpuProbeError`'s reason. */
  reason: Schema.String,
  description: Schema.String,
})

/** @category models @since 0.1.0 */
export interface PassedOver extends Schema.Schema.Type<typeof PassedOver> {}

/**
 * What one read found.
 *
 * @category models
 * @since 0.1.0
 */
export const GpuReadings = Schema.Struct({
  /** Which probe answered: `nvml`, `nvidia-smi`, `amd-sysfs`, `system-memory`, … */
  source: Schema.String,
  /** Better ones that did not, and why. Not empty means that the answer may show less than there is. */
  passedOver: Schema.Array(PassedOver),
  devices: Schema.Array(GpuReading),
})

/** @category models @since 0.1.0 */
export interface GpuReadings extends Schema.Schema.Type<typeof GpuReadings> {}

const described = { description: Schema.String }

/** The library or tool that reads the device is not there. @category errors @since 0.1.0 */
export class LibraryMissing extends Schema.TaggedError<LibraryMissing>()("LibraryMissing", described) {}

/** A file of its name is there and is not a library this process can load. @category errors @since 0.1.0 */
export class LibraryInvalid extends Schema.TaggedError<LibraryInvalid>()("LibraryInvalid", described) {}

/** The library is too old or too new: a function without which nothing can be read is missing. @category errors @since 0.1.0 */
export class SymbolMissing extends Schema.TaggedError<SymbolMissing>()("SymbolMissing", described) {}

/** This user, container or token may not read. @category errors @since 0.1.0 */
export class PermissionDenied extends Schema.TaggedError<PermissionDenied>()("PermissionDenied", described) {}

/** Library and kernel driver have different versions: usually an update that waits for a restart. @category errors @since 0.1.0 */
export class DriverMismatch extends Schema.TaggedError<DriverMismatch>()("DriverMismatch", described) {}

/** The kernel driver is not loaded. @category errors @since 0.1.0 */
export class DriverNotLoaded extends Schema.TaggedError<DriverNotLoaded>()("DriverNotLoaded", described) {}

/** The device fell off the bus or waits for a reset. @category errors @since 0.1.0 */
export class DeviceLost extends Schema.TaggedError<DeviceLost>()("DeviceLost", described) {}

/** No answer in time; the driver may hang. @category errors @since 0.1.0 */
export class Timeout extends Schema.TaggedError<Timeout>()("Timeout", described) {}

/** There is nothing this source could read here. @category errors @since 0.1.0 */
export class NotSupported extends Schema.TaggedError<NotSupported>()("NotSupported", described) {}

/** The agent cannot be reached. @category errors @since 0.1.0 */
export class Unreachable extends Schema.TaggedError<Unreachable>()("Unreachable", described) {}

/** It answered with an error, or with nonsense. @category errors @since 0.1.0 */
export class Failed extends Schema.TaggedError<Failed>()("Failed", {
  /** The library's or tool's own code. */
  code: Schema.OptionFromNullOr(Schema.Int),
  description: Schema.String,
}) {}

/** No source of a chain answered. @category errors @since 0.1.0 */
export class NoneWorked extends Schema.TaggedError<NoneWorked>()("NoneWorked", {
  tried: Schema.Array(PassedOver),
  description: Schema.String,
}) {}

/** @category errors @since 0.1.0 */
export const GpuProbeReason = Schema.Union([
  LibraryMissing,
  LibraryInvalid,
  SymbolMissing,
  PermissionDenied,
  DriverMismatch,
  DriverNotLoaded,
  DeviceLost,
  Timeout,
  NotSupported,
  Unreachable,
  Failed,
  NoneWorked,
])

/** @category errors @since 0.1.0 */
export type GpuProbeReason = typeof GpuProbeReason.Type

/**
 * The one error a caller of `GpuProbe` sees; the reason's tag says what to do about it.
 *
 * @category errors
 * @since 0.1.0
 */
export class GpuProbeError extends Schema.TaggedError<GpuProbeError>()("GpuProbeError", {
  source: Schema.String,
  reason: GpuProbeReason,
}) {
  override get message(): string {
    return `${this.source}: ${this.reason._tag}: ${this.reason.description}`
  }
}

/**
 * Reads every device once.
 *
 * **Details**
 *
 * A read always ends, whatever the driver does: within about two seconds, or five for a chain of probes. Reads at the same time share one.
 *
 * **Gotchas**
 *
 * A device that is missing from a read, or a read from another source, says nothing about that device: it is unknown, not free.
 *
 * @category services
 * @since 0.1.0
 */
export class GpuProbe extends Context.Service<GpuProbe, {
  /** What the readings and errors of this probe are marked with; a chain's readings carry the name of the one that answered. */
  readonly source: string
  readonly read: Effect.Effect<GpuReadings, GpuProbeError>
}>()("llamero/services/GpuProbe") {}
