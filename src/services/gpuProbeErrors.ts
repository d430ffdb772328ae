/**
 * Why a probe could not read the devices: the errors of `GpuProbe`.
 *
 * @since 0.1.0
 */
import { Schema } from "effect"
import type { TaggedErrorClass } from "./taggedErrorClass.ts"

/** A source that did not answer, and why. @category models @since 0.1.0 */
export const PassedOver: Schema.Struct<{
  readonly source: Schema.String
  /** The `_tag` of the reason in its `GpuProbeError`. */
  readonly reason: Schema.String
  readonly description: Schema.String
}> = Schema.Struct({ source: Schema.String, reason: Schema.String, description: Schema.String })

/** @category models @since 0.1.0 */
export interface PassedOver extends Schema.Schema.Type<typeof PassedOver> {}

type Described<Self, Tag extends string> = TaggedErrorClass<Self, Tag, { readonly description: Schema.String }>
const described = { description: Schema.String }

const LibraryMissingBase: Described<LibraryMissing, "LibraryMissing"> = Schema.TaggedError<LibraryMissing>()(
  "LibraryMissing",
  described,
)

/** The library or tool that reads the device is not installed. @category errors @since 0.1.0 */
export class LibraryMissing extends LibraryMissingBase {}

const LibraryInvalidBase: Described<LibraryInvalid, "LibraryInvalid"> = Schema.TaggedError<LibraryInvalid>()(
  "LibraryInvalid",
  described,
)

/** The library file exists, but this process cannot load it. @category errors @since 0.1.0 */
export class LibraryInvalid extends LibraryInvalidBase {}

const SymbolMissingBase: Described<SymbolMissing, "SymbolMissing"> = Schema.TaggedError<SymbolMissing>()(
  "SymbolMissing",
  described,
)

/** The library is too old or too new: a required function is missing. @category errors @since 0.1.0 */
export class SymbolMissing extends SymbolMissingBase {}

const PermissionDeniedBase: Described<PermissionDenied, "PermissionDenied"> = Schema.TaggedError<PermissionDenied>()(
  "PermissionDenied",
  described,
)

/** This user, container or token has no permission to read. @category errors @since 0.1.0 */
export class PermissionDenied extends PermissionDeniedBase {}

const DriverMismatchBase: Described<DriverMismatch, "DriverMismatch"> = Schema.TaggedError<DriverMismatch>()(
  "DriverMismatch",
  described,
)

/**
 * Library and kernel driver have different versions, usually because an update waits for a restart.
 *
 * @category errors
 * @since 0.1.0
 */
export class DriverMismatch extends DriverMismatchBase {}

const DriverNotLoadedBase: Described<DriverNotLoaded, "DriverNotLoaded"> = Schema.TaggedError<DriverNotLoaded>()(
  "DriverNotLoaded",
  described,
)

/** The kernel driver is not loaded. @category errors @since 0.1.0 */
export class DriverNotLoaded extends DriverNotLoadedBase {}

const DeviceLostBase: Described<DeviceLost, "DeviceLost"> = Schema.TaggedError<DeviceLost>()("DeviceLost", described)

/** The device fell off the bus or needs a reset. @category errors @since 0.1.0 */
export class DeviceLost extends DeviceLostBase {}

const TimeoutBase: Described<Timeout, "Timeout"> = Schema.TaggedError<Timeout>()("Timeout", described)

/** No answer in time; the driver may hang. @category errors @since 0.1.0 */
export class Timeout extends TimeoutBase {}

const NotSupportedBase: Described<NotSupported, "NotSupported"> = Schema.TaggedError<NotSupported>()(
  "NotSupported",
  described,
)

/** This machine has nothing that this source can read. @category errors @since 0.1.0 */
export class NotSupported extends NotSupportedBase {}

const UnreachableBase: Described<Unreachable, "Unreachable"> = Schema.TaggedError<Unreachable>()(
  "Unreachable",
  described,
)

/** The agent cannot be reached. @category errors @since 0.1.0 */
export class Unreachable extends UnreachableBase {}

const FailedBase: TaggedErrorClass<Failed, "Failed", {
  /** The error code of the library or tool. */
  readonly code: Schema.OptionFromNullOr<Schema.Int>
  readonly description: Schema.String
}> = Schema.TaggedError<Failed>()("Failed", {
  code: Schema.OptionFromNullOr(Schema.Int),
  description: Schema.String,
})

/** The source answered with an error, or with something that cannot be read. @category errors @since 0.1.0 */
export class Failed extends FailedBase {}

const NoneWorkedBase: TaggedErrorClass<NoneWorked, "NoneWorked", {
  readonly tried: Schema.$Array<typeof PassedOver>
  readonly description: Schema.String
}> = Schema.TaggedError<NoneWorked>()("NoneWorked", { tried: Schema.Array(PassedOver), description: Schema.String })

/** No probe of a chain answered. @category errors @since 0.1.0 */
export class NoneWorked extends NoneWorkedBase {}

/** @category errors @since 0.1.0 */
export const GpuProbeReason: Schema.Union<
  readonly [
    typeof LibraryMissing,
    typeof LibraryInvalid,
    typeof SymbolMissing,
    typeof PermissionDenied,
    typeof DriverMismatch,
    typeof DriverNotLoaded,
    typeof DeviceLost,
    typeof Timeout,
    typeof NotSupported,
    typeof Unreachable,
    typeof Failed,
    typeof NoneWorked,
  ]
> = Schema.Union([
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

const GpuProbeErrorBase: TaggedErrorClass<GpuProbeError, "GpuProbeError", {
  readonly source: Schema.String
  readonly reason: typeof GpuProbeReason
}> = Schema.TaggedError<GpuProbeError>()("GpuProbeError", { source: Schema.String, reason: GpuProbeReason })

/**
 * The only error of `GpuProbe`. The tag of `reason` says what to do about it.
 *
 * @category errors
 * @since 0.1.0
 */
export class GpuProbeError extends GpuProbeErrorBase {
  override get message(): string {
    return `${this.source}: ${this.reason._tag}: ${this.reason.description}`
  }
}
