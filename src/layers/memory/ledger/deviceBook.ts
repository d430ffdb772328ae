/**
 * The account of one device: what it has, what was read, what is promised.
 *
 * @since 0.1.0
 */
/** What of an allocation the account of a device looks at. @category models @since 0.1.0 */
export interface Charge {
  /** Whether it may take memory here that no reading shows yet, and that is not charged here. */
  readonly unsettled: boolean
  /** Bytes on a device. */
  readonly on: (device: string) => number
  /** Whether the last good reading of the device had its memory in it. */
  readonly seenOn: (device: string) => boolean
}

/**
 * One device. A charge is *seen* when it was resident before the last good reading began: only then does the free memory of that reading already leave it
 * out. All others (loads under way, those that ended since, memory on its way back) have to fit into what was free. So no state of affairs, and no lost
 * reading, lets one byte be promised twice.
 *
 * @category models
 * @since 0.1.0
 */
export class DeviceBook {
  readonly uuid: string
  readonly charges = new Set<Charge>()
  declared: number | undefined = undefined
  total: number | undefined = undefined
  free: number | undefined = undefined
  foreign: number | undefined = undefined
  readAt: number | undefined = undefined
  failure = "not read yet"
  /** It must get no new work. */
  sick = false
  /** The beginning of the last good reading. */
  readSeq = -1
  private readonly reserveBytes: number

  constructor(uuid: string, reserveBytes: number) {
    this.uuid = uuid
    this.reserveBytes = reserveBytes
  }

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

  /** Bytes of the empty device that models may take. */
  get limit(): number | undefined {
    if (this.sick) return 0
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

  /** Bytes that may still be promised; below 0 when less is there than is held. */
  get room(): number | undefined {
    const { capacity } = this
    return capacity === undefined ? undefined : capacity - this.held
  }

  /** Whether nothing else may be promised here now. */
  get unsettled(): boolean {
    for (const charge of this.charges) if (charge.unsettled) return true
    return false
  }

  /** A good reading. It moves capacity either way. */
  read(total: number | undefined, free: number, now: number, seq: number): void {
    this.total = total ?? this.total
    this.free = Math.min(free, this.total ?? Infinity)
    this.readAt = now
    this.readSeq = seq
    this.failure = ""
  }

  /** After the charges were told of the reading: who else is there. */
  account(): void {
    if (this.total === undefined || this.free === undefined) return
    this.foreign = Math.max(0, this.total - this.free - this.seen)
  }

  /** Memory that the last good reading left out, and that was given back while nothing could be read since. */
  assumeBack(bytes: number): void {
    if (this.free !== undefined) this.free = Math.min(this.free + bytes, this.total ?? Infinity)
  }
}
