/**
 * Error events of the NVIDIA driver ("Xid").
 *
 * @since 0.1.0
 */

/**
 * Xids that are errors of the program on the device, not of the device: an illegal access, a reset of its channel, a
 * page fault, a video decoder error, and two about processes being stopped. Every other Xid makes the device unhealthy.
 *
 * Source: the list that NVIDIA's Kubernetes device plugin ignores (internal/rm/health.go). The Xid catalogue explains
 * the numbers (docs.nvidia.com/deploy/xid-errors).
 *
 * @category constants
 * @since 0.1.0
 */
export const ofApplications: ReadonlySet<number> = new Set([13, 31, 43, 45, 68, 109])

/**
 * The faults that were seen. They stay, because the library does not report when a device works again.
 *
 * @category models
 * @since 0.1.0
 */
export interface Memory {
  /** Notes an Xid; a null UUID means every device. */
  readonly note: (uuid: string | null, xid: number, now: number) => void
  /** The fault of a device, if it has one that still counts. `now` in milliseconds. */
  readonly fault: (uuid: string, now: number) => string | undefined
}

/** @category constructors @since 0.1.0 */
export const make = (ignored: ReadonlySet<number>, holdMillis: number): Memory => {
  const noted = new Map<string | null, { readonly xid: number; readonly at: number }>()
  return {
    note: (uuid, xid, now) => {
      if (!ignored.has(xid)) noted.set(uuid, { xid, at: now })
    },
    fault: (uuid, now) => {
      const found = noted.get(uuid) ?? noted.get(null)
      return found === undefined || now - found.at > holdMillis ? undefined : `Xid ${found.xid}`
    },
  }
}
