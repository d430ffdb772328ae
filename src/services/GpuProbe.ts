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
import { type GpuProbeError, PassedOver } from "./gpuProbeErrors.ts"

export {
  DeviceLost,
  DriverMismatch,
  DriverNotLoaded,
  Failed,
  GpuProbeError,
  GpuProbeReason,
  LibraryInvalid,
  LibraryMissing,
  NoneWorked,
  NotSupported,
  PassedOver,
  PermissionDenied,
  SymbolMissing,
  Timeout,
  Unreachable,
} from "./gpuProbeErrors.ts"

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

type HealthyFields = Schema.TaggedStruct<"Healthy", Record<never, never>>
const HealthyBase: Schema.Class<Healthy, HealthyFields, unknown> = Schema.TaggedClass<Healthy>()("Healthy", {})

/** The source watches the device, and has seen no fault. @category models @since 0.1.0 */
export class Healthy extends HealthyBase {}

type UnhealthyFields = Schema.TaggedStruct<"Unhealthy", { readonly reason: Schema.String }>
const UnhealthyBase: Schema.Class<Unhealthy, UnhealthyFields, unknown> = Schema.TaggedClass<Unhealthy>()("Unhealthy", {
  reason: Schema.String,
})

/** The device must not get new work; `reason` says why. @category models @since 0.1.0 */
export class Unhealthy extends UnhealthyBase {}

/** Memory that one process holds on a device, where the source can tell. @category models @since 0.1.0 */
export const DeviceProcess: Schema.Struct<{
  /**
   * Process id as the driver knows it. In a container that is the host's id, so do not compare it with the container's
   * own.
   */
  readonly pid: Schema.Int
  readonly used: Schema.OptionFromNullOr<Schema.ByteSizeFromNumber>
}> = Schema.Struct({
  pid: Schema.Int,
  used: Schema.OptionFromNullOr(Schema.ByteSizeFromNumber),
})

/**
 * One device at one moment. It is a schema because agents send it over HTTP: bytes as numbers, unknown as `null`.
 *
 * @category models
 * @since 0.1.0
 */
export const GpuReading: Schema.Struct<{
  /**
   * `GPU-…`, `MIG-…`, `pci-…` where the device has no id of its own, or `system`. A device has the same id in every
   * source that can tell it.
   */
  readonly uuid: Schema.String
  readonly name: Schema.String
  readonly kind: Schema.Literals<readonly ["gpu", "mig", "integrated", "system"]>
  readonly total: Schema.OptionFromNullOr<Schema.ByteSizeFromNumber>
  /** Bytes that can still be allocated. Use this and `total` for accounting. */
  readonly free: Schema.OptionFromNullOr<Schema.ByteSizeFromNumber>
  /** For display only: some sources count the memory that the driver keeps for itself, some do not. */
  readonly used: Schema.OptionFromNullOr<Schema.ByteSizeFromNumber>
  /** Share of time in use, from 0 to 1. */
  readonly utilisation: Schema.OptionFromNullOr<Schema.Finite>
  /** Degrees Celsius. */
  readonly temperature: Schema.OptionFromNullOr<Schema.Finite>
  /** Watts. */
  readonly power: Schema.OptionFromNullOr<Schema.Finite>
  /** None where no source watches the device. */
  readonly health: Schema.OptionFromNullOr<Schema.Union<readonly [typeof Healthy, typeof Unhealthy]>>
  /** None where processes were not asked for or cannot be seen. */
  readonly processes: Schema.OptionFromNullOr<Schema.$Array<typeof DeviceProcess>>
  /**
   * NVIDIA's compute capability, such as `9` or `8.6`. It decides whether Ollama uses flash attention. None for other
   * devices, and from agents that do not send it.
   */
  readonly computeCapability: Schema.OptionFromOptionalNullOr<Schema.Finite>
}> = Schema.Struct({
  uuid: Schema.String,
  name: Schema.String,
  kind: Schema.Literals(["gpu", "mig", "integrated", "system"]),
  total: Schema.OptionFromNullOr(Schema.ByteSizeFromNumber),
  free: Schema.OptionFromNullOr(Schema.ByteSizeFromNumber),
  used: Schema.OptionFromNullOr(Schema.ByteSizeFromNumber),
  utilisation: Schema.OptionFromNullOr(Schema.Finite),
  temperature: Schema.OptionFromNullOr(Schema.Finite),
  power: Schema.OptionFromNullOr(Schema.Finite),
  health: Schema.OptionFromNullOr(Schema.Union([Healthy, Unhealthy])),
  processes: Schema.OptionFromNullOr(Schema.Array(DeviceProcess)),
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

/**
 * The result of one read.
 *
 * @category models
 * @since 0.1.0
 */
export const GpuReadings: Schema.Struct<{
  /** The probe that answered: `nvml`, `nvidia-smi`, `amd-sysfs`, `system-memory`, … */
  readonly source: Schema.String
  /**
   * Preferred probes that failed, and why. If it is not empty, the answer may show fewer devices than the machine has.
   */
  readonly passedOver: Schema.$Array<typeof PassedOver>
  readonly devices: Schema.$Array<typeof GpuReading>
}> = Schema.Struct({
  source: Schema.String,
  passedOver: Schema.Array(PassedOver),
  devices: Schema.Array(GpuReading),
})

/** @category models @since 0.1.0 */
export interface GpuReadings extends Schema.Schema.Type<typeof GpuReadings> {}

const key = "llamero/services/GpuProbe"
const Base: Context.ServiceClass<GpuProbe, typeof key, Service> = Context.Service<GpuProbe, Service>()(key)

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
export class GpuProbe extends Base {}

/** The members of `GpuProbe`. @category services @since 0.1.0 */
export interface Service {
  /**
   * Name in the readings and errors of this probe. The readings of a chain carry the name of the probe that answered.
   */
  readonly source: string
  readonly read: Effect.Effect<GpuReadings, GpuProbeError>
}
