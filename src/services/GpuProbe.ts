/**
 * Reads the devices of a machine, with their memory, free memory and health. A value that is not known is
 * `Option.none`, never zero.
 *
 * **Example** (Free memory on each device)
 *
 * ```ts
 * import { ByteSize, Effect, Option } from "effect"
 * import { GpuProbe } from "llamero"
 *
 * const lines = Effect.gen(function* () {
 *   const probe = yield* GpuProbe.GpuProbe
 *   const { devices, source } = yield* probe.read
 *   return devices.map(({ free, name }) => {
 *     const bytes = Option.match(free, { onNone: () => "unknown", onSome: (known) => ByteSize.format(known) })
 *     return `${name}: ${bytes} free (${source})`
 *   })
 * })
 * ```
 *
 * @since 0.1.0
 */
import { Context, type Effect, Option, Schema } from "effect"

/**
 * The kind of a device.
 *
 * - `gpu`: a GPU with memory of its own
 * - `mig`: a slice of a GPU (NVIDIA MIG) with memory of its own; the GPU itself is then not listed
 * - `integrated`: a GPU that shares the system's memory; do not add the two up
 * - `system`: the system's memory, for backends that run on the CPU
 *
 * @category models
 * @since 0.1.0
 */
export type DeviceKind = "gpu" | "mig" | "integrated" | "system"

/** The source watches the device, and has seen no fault. @category models @since 0.1.0 */
export class Healthy extends Schema.TaggedClass<Healthy>()("Healthy", {}) {}

/** The device must not get new work; `reason` says why. @category models @since 0.1.0 */
export class Unhealthy extends Schema.TaggedClass<Unhealthy>()("Unhealthy", { reason: Schema.String }) {}

/** Memory that one process holds on a device, where the source can tell. @category models @since 0.1.0 */
export const DeviceProcess = Schema.Struct({
  /**
   * Process id as the driver knows it. In a container that is the host's id, so do not compare it with the container's
   * own.
   */
  pid: Schema.Int,
  used: Schema.OptionFromNullOr(Schema.ByteSizeFromNumber),
})

/**
 * One device at one moment. It is a schema because agents send it over HTTP: bytes as numbers, unknown as `null`.
 *
 * @category models
 * @since 0.1.0
 */
export const GpuReading = Schema.Struct({
  /**
   * `GPU-…`, `MIG-…`, `pci-…` where the device has no id of its own, or `system`. A device has the same id in every
   * source that can tell it.
   */
  uuid: Schema.String,
  name: Schema.String,
  kind: Schema.Literals(["gpu", "mig", "integrated", "system"]),
  total: Schema.OptionFromNullOr(Schema.ByteSizeFromNumber),
  /** Bytes that can still be allocated. Use this and `total` for accounting. */
  free: Schema.OptionFromNullOr(Schema.ByteSizeFromNumber),
  /** For display only: some sources count the memory that the driver keeps for itself, some do not. */
  used: Schema.OptionFromNullOr(Schema.ByteSizeFromNumber),
  /** Share of time in use, from 0 to 1. */
  utilisation: Schema.OptionFromNullOr(Schema.Finite),
  /** Degrees Celsius. */
  temperature: Schema.OptionFromNullOr(Schema.Finite),
  /** Watts. */
  power: Schema.OptionFromNullOr(Schema.Finite),
  /** None where no source watches the device. */
  health: Schema.OptionFromNullOr(Schema.Union([Healthy, Unhealthy])),
  /** None where processes were not asked for or cannot be seen. */
  processes: Schema.OptionFromNullOr(Schema.Array(DeviceProcess)),
  /**
   * NVIDIA's compute capability, such as `9` or `8.6`. It decides whether Ollama uses flash attention. None for other
   * devices, and from agents that do not send it.
   */
  computeCapability: Schema.OptionFromOptionalNullOr(Schema.Finite, { onNoneEncoding: null }),
})

/** @category models @since 0.1.0 */
export interface GpuReading extends Schema.Schema.Type<typeof GpuReading> {}

/** A reading with id, name and kind, and everything else unknown. @category constructors @since 0.1.0 */
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
  computeCapability: Option.none(),
})

/** A source that did not answer, and why. @category models @since 0.1.0 */
export const PassedOver = Schema.Struct({
  source: Schema.String,
  /** The `_tag` of the reason in its `GpuProbeError`. */
  reason: Schema.String,
  description: Schema.String,
})

/** @category models @since 0.1.0 */
export interface PassedOver extends Schema.Schema.Type<typeof PassedOver> {}

/**
 * The result of one read.
 *
 * @category models
 * @since 0.1.0
 */
export const GpuReadings = Schema.Struct({
  /** The probe that answered: `nvml`, `nvidia-smi`, `amd-sysfs`, `system-memory`, … */
  source: Schema.String,
  /**
   * Preferred probes that failed, and why. If it is not empty, the answer may show fewer devices than the machine has.
   */
  passedOver: Schema.Array(PassedOver),
  devices: Schema.Array(GpuReading),
})

/** @category models @since 0.1.0 */
export interface GpuReadings extends Schema.Schema.Type<typeof GpuReadings> {}

const described = { description: Schema.String }

/** The library or tool that reads the device is not installed. @category errors @since 0.1.0 */
export class LibraryMissing extends Schema.TaggedError<LibraryMissing>()("LibraryMissing", described) {}

/** The library file exists, but this process cannot load it. @category errors @since 0.1.0 */
export class LibraryInvalid extends Schema.TaggedError<LibraryInvalid>()("LibraryInvalid", described) {}

/** The library is too old or too new: a required function is missing. @category errors @since 0.1.0 */
export class SymbolMissing extends Schema.TaggedError<SymbolMissing>()("SymbolMissing", described) {}

/** This user, container or token has no permission to read. @category errors @since 0.1.0 */
export class PermissionDenied extends Schema.TaggedError<PermissionDenied>()("PermissionDenied", described) {}

/**
 * Library and kernel driver have different versions, usually because an update waits for a restart.
 *
 * @category errors
 * @since 0.1.0
 */
export class DriverMismatch extends Schema.TaggedError<DriverMismatch>()("DriverMismatch", described) {}

/** The kernel driver is not loaded. @category errors @since 0.1.0 */
export class DriverNotLoaded extends Schema.TaggedError<DriverNotLoaded>()("DriverNotLoaded", described) {}

/** The device fell off the bus or needs a reset. @category errors @since 0.1.0 */
export class DeviceLost extends Schema.TaggedError<DeviceLost>()("DeviceLost", described) {}

/** No answer in time; the driver may hang. @category errors @since 0.1.0 */
export class Timeout extends Schema.TaggedError<Timeout>()("Timeout", described) {}

/** This machine has nothing that this source can read. @category errors @since 0.1.0 */
export class NotSupported extends Schema.TaggedError<NotSupported>()("NotSupported", described) {}

/** The agent cannot be reached. @category errors @since 0.1.0 */
export class Unreachable extends Schema.TaggedError<Unreachable>()("Unreachable", described) {}

/** The source answered with an error, or with something that cannot be read. @category errors @since 0.1.0 */
export class Failed extends Schema.TaggedError<Failed>()("Failed", {
  /** The error code of the library or tool. */
  code: Schema.OptionFromNullOr(Schema.Int),
  description: Schema.String,
}) {}

/** No probe of a chain answered. @category errors @since 0.1.0 */
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
 * The only error of `GpuProbe`. The tag of `reason` says what to do about it.
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
 * A read always ends, even if the driver hangs: within about two seconds, or five for a chain of probes. Reads at the
 * same time share one result.
 *
 * **Gotchas**
 *
 * If a device is missing from a read, or the read comes from another source, the memory of that device is unknown. It
 * is not free.
 *
 * @category services
 * @since 0.1.0
 */
export class GpuProbe extends Context.Service<GpuProbe, {
  /**
   * Name in the readings and errors of this probe. The readings of a chain carry the name of the probe that answered.
   */
  readonly source: string
  readonly read: Effect.Effect<GpuReadings, GpuProbeError>
}>()("llamero/services/GpuProbe") {}
