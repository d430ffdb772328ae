/**
 * The account of one device: its memory, the last reading, and what is charged.
 *
 * @since 0.1.0
 */
import type { DeviceSensors } from "../../../services/VramLedger.ts"

/** What the account of a device needs to know about an allocation. @category models @since 0.1.0 */
export interface Charge {
  /** Whether it may take memory on a device that no reading shows yet and that is not charged there. */
  readonly unsettledOn: (device: string) => boolean
  /** Whether its load has not ended. */
  readonly loading: boolean
  /** Charged bytes on a device. */
  readonly on: (device: string) => number
  /** Whether the last good reading of the device included its memory. */
  readonly seenOn: (device: string) => boolean
}

/**
 * The account of one device.
 *
 * **Details**
 *
 * A charge is *seen* if the model was resident before the last good reading began. Only then does the free memory of
 * that reading already leave its bytes out. All other charges (loads under way, loads that ended since, memory that
 * is being released) have to fit into the free memory of the reading. So no order of events, and no lost reading,
 * lets a byte be promised twice.
 *
 * @category models
 * @since 0.1.0
 */
export class DeviceAccount {
  readonly uuid: string
  readonly charges: Set<Charge> = new Set()
  /** Bytes that backends of the fleet state for it, by the id of the backend. */
  readonly stated: Map<string, number> = new Map()
  declared: number | undefined = undefined
  total: number | undefined = undefined
  free: number | undefined = undefined
  foreign: number | undefined = undefined
  readAt: number | undefined = undefined
  failure = "not read yet"
  /** The probe reports that the device is unhealthy, so it gets no new model. */
  unhealthy = false
  /** The last reading did not list the device, although it has listed others. */
  absent = false
  /** NVIDIA's compute capability. */
  capability: number | undefined = undefined
  /** The number of the last good reading, given when it began. */
  readSeq = -1
  sensors: DeviceSensors | undefined = undefined
  /** Bytes that stay free on it. */
  readonly reserveBytes: number

  constructor(uuid: string, reserveBytes: number) {
    this.uuid = uuid
    this.reserveBytes = reserveBytes
  }

  /** The sum of the charges. */
  get held(): number {
    let sum = 0
    for (const charge of this.charges) sum += charge.on(this.uuid)
    return sum
  }

  private get seen(): number {
    let sum = 0
    for (const charge of this.charges) if (charge.seenOn(this.uuid)) sum += charge.on(this.uuid)
    return sum
  }

  /** Whether a model can be put on it, as far as is known. A declared device does not have to be listed. */
  get usable(): boolean {
    return !this.unhealthy && !(this.absent && this.declared === undefined)
  }

  /** Bytes that models may take on the empty device. */
  get limit(): number | undefined {
    if (this.unhealthy) return 0
    const most = this.declared === undefined
      ? this.free === undefined ? undefined : this.total
      : Math.min(this.declared, this.total ?? Infinity)
    return most === undefined ? undefined : most - this.reserveBytes
  }

  /** min(declared or total, last good free + our own) - reserve. */
  get capacity(): number | undefined {
    const { limit } = this
    if (limit === undefined || this.free === undefined) return limit
    return Math.min(limit, this.free + this.seen - this.reserveBytes)
  }

  /** Bytes that may still be promised. Below 0 if more is charged than the capacity. */
  get room(): number | undefined {
    const { capacity } = this
    return capacity === undefined ? undefined : capacity - this.held
  }

  /** Whether a load is under way on this device. */
  get loading(): boolean {
    for (const charge of this.charges) if (charge.loading) return true
    return false
  }

  /** Whether no other load may be promised memory on this device now. */
  get unsettled(): boolean {
    for (const charge of this.charges) if (charge.unsettledOn(this.uuid)) return true
    return false
  }

  /** Takes in a good reading. It can raise or lower the capacity. */
  read(total: number | undefined, free: number, now: number, seq: number): void {
    this.total = total ?? this.total
    this.free = Math.min(free, this.total ?? Infinity)
    this.readAt = now
    this.readSeq = seq
    this.failure = ""
  }

  /** Computes what other processes use. To be called when the charges know which of them the reading includes. */
  updateForeign(): void {
    if (this.total === undefined || this.free === undefined) return
    this.foreign = Math.max(0, this.total - this.free - this.seen)
  }

  /** Counts memory as free that was given back while no reading was possible. */
  assumeFree(bytes: number): void {
    if (this.free !== undefined) this.free = Math.min(this.free + bytes, this.total ?? Infinity)
  }
}
