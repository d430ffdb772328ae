/**
 * What the helper process and its parent say to each other: one JSON object a line.
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

/** The library is loaded and initialised: from here on a read is quick, or hangs. @category models @since 0.1.0 */
export interface Opened {
  readonly opened: true
}

/** @category models @since 0.1.0 */
export interface Answer {
  readonly id: number
  readonly devices: ReadonlyArray<RawDevice>
  readonly xids: ReadonlyArray<RawXid>
}

/** @category models @since 0.1.0 */
export interface AskFailed {
  readonly id: number
  readonly failure: Failure
}

/** As a reason of `GpuProbeError` is written down. @category models @since 0.1.0 */
export interface Failure {
  readonly _tag: string
  readonly code: number | null
  readonly description: string
}

/** As the library gives it: null is not known. @category models @since 0.1.0 */
export interface RawDevice {
  readonly uuid: string
  readonly name: string
  readonly kind: "gpu" | "mig"
  /** It has no memory of its own, says the library. */
  readonly unified: boolean
  readonly total: number | null
  readonly free: number | null
  readonly used: number | null
  readonly percent: number | null
  readonly celsius: number | null
  readonly milliwatts: number | null
  /** Its events are listened to. */
  readonly watched: boolean
  /** What is wrong with it now. */
  readonly fault: string | null
  readonly processes: ReadonlyArray<{ readonly pid: number; readonly used: number | null }> | null
}

/** An error event that the driver reported since the last read. @category models @since 0.1.0 */
export interface RawXid {
  /** Null: the library did not say which, so it counts for every device. */
  readonly uuid: string | null
  readonly xid: number
}
