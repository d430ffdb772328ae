/**
 * The messages between the helper process and its parent: one JSON object a line.
 *
 * @since 0.1.0
 */

/** Parent to helper. @category models @since 0.1.0 */
export interface Ask {
  readonly id: number
  /** Files to try, in order. */
  readonly libraries: ReadonlyArray<string>
  readonly processes: boolean
}

/** Helper to parent. @category models @since 0.1.0 */
export type Line = Opened | Answer | AskFailed

/** The library is loaded and initialised. From now on a read is quick, or hangs. @category models @since 0.1.0 */
export interface Opened {
  readonly opened: true
}

/** Versions of the driver; null is unknown. @category models @since 0.1.0 */
export interface RawDriver {
  /** Such as `580.95.05`. */
  readonly version: string | null
  /** The newest version of CUDA that the driver can run, such as `13.0`. */
  readonly cuda: string | null
}

/** @category models @since 0.1.0 */
export interface Answer {
  readonly id: number
  readonly driver: RawDriver
  readonly devices: ReadonlyArray<RawDevice>
  readonly xids: ReadonlyArray<RawXid>
}

/** @category models @since 0.1.0 */
export interface AskFailed {
  readonly id: number
  readonly failure: Failure
}

/** A reason of `GpuProbeError` as JSON. @category models @since 0.1.0 */
export interface Failure {
  readonly _tag: string
  readonly code: number | null
  readonly description: string
}

/** A device as the library reports it; null is unknown. @category models @since 0.1.0 */
export interface RawDevice {
  readonly uuid: string
  readonly name: string
  readonly kind: "gpu" | "mig"
  /** Whether the library says that the device has no memory of its own. */
  readonly unified: boolean
  readonly total: number | null
  readonly free: number | null
  readonly used: number | null
  readonly percent: number | null
  readonly celsius: number | null
  readonly milliwatts: number | null
  readonly capability: number | null
  /** Whether the events of the device are listened to. */
  readonly watched: boolean
  /** The fault that the device has now. */
  readonly fault: string | null
  readonly processes: ReadonlyArray<{ readonly pid: number; readonly used: number | null }> | null
}

/** An error event that the driver reported since the last read. @category models @since 0.1.0 */
export interface RawXid {
  /** Null where the library does not name the device: it then counts for every device. */
  readonly uuid: string | null
  readonly xid: number
}
