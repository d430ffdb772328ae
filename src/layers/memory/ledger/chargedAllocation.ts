/**
 * An allocation that is charged to devices.
 *
 * @since 0.1.0
 */
import type { Allocation, AllocationState, Share } from "../../../services/VramLedger.ts"
import type { Charge, DeviceAccount } from "./deviceAccount.ts"
import { isLoading } from "./unchargedAllocations.ts"

/** The ledger, as an allocation sees it. @category models @since 0.1.0 */
export interface Owner {
  /** Called after each change of the state. */
  readonly moved: (allocation: ChargedAllocation, from: AllocationState) => void
}

/**
 * An allocation. It is charged to each of its devices until it is gone.
 *
 * @category models
 * @since 0.1.0
 */
export class ChargedAllocation implements Allocation, Charge {
  readonly backend: string
  readonly model: string
  /** The explicit context that it was loaded with; `undefined` for the automatic one. */
  readonly numCtx: number | undefined
  current: AllocationState
  /** One part for each device on which it may be, because Ollama chooses among several devices by itself. */
  parts: ReadonlyArray<Share>
  /** Bytes that `/api/ps` showed last. Unlike the charge they have no margin. */
  observed = 0
  /** Devices whose last good reading included its memory. */
  readonly seen: Set<string> = new Set()
  /**
   * The number, in the order of readings, from which all its memory is taken. `Infinity` until the load has ended and
   * from the release on.
   */
  residentSeq = Infinity
  releasingAt = Infinity
  releasingSeq = Infinity
  /** Free bytes of each device when its release began, if the reading included its memory. */
  readonly freeBefore: Map<string, number> = new Map()
  private readonly accounts: ReadonlyMap<string, DeviceAccount>
  private readonly owner: Owner

  constructor(
    backend: string,
    model: string,
    numCtx: number | undefined,
    state: AllocationState,
    parts: ReadonlyArray<Share>,
    accounts: ReadonlyMap<string, DeviceAccount>,
    owner: Owner,
  ) {
    this.backend = backend
    this.model = model
    this.numCtx = numCtx
    this.current = state
    this.parts = parts
    this.accounts = accounts
    this.owner = owner
    for (const { device } of parts) accounts.get(device)?.charges.add(this)
  }

  readonly shares = (): ReadonlyArray<Share> => this.parts.filter(({ bytes }) => bytes > 0)
  readonly state = (): AllocationState => this.current

  readonly move = (to: AllocationState): void => {
    const from = this.current
    if (from === "gone" || from === to) return
    // A release cannot be taken back: the devices wait for the memory.
    if (from === "releasing" && to !== "gone") return
    this.current = to
    this.owner.moved(this, from)
  }

  get bytes(): number {
    let sum = 0
    for (const { bytes } of this.parts) sum += bytes
    return sum
  }

  on(device: string): number {
    for (const share of this.parts) if (share.device === device) return share.bytes
    return 0
  }

  seenOn(device: string): boolean {
    return this.seen.has(device)
  }

  get loading(): boolean {
    return isLoading(this.current)
  }

  /**
   * Whether a device can have less free memory than the ledger knows: the load has not ended, or Ollama chose among
   * several devices and not all of them were read since. A device that is lost is no obstacle to the others. If it is
   * only not listed, it may still hold the model, so it gets no other load until it was read.
   */
  unsettledOn(device: string): boolean {
    if (this.loading) return true
    if (this.parts.length === 1) return false
    const read = this.current === "releasing" ? this.freeBefore : this.seen
    return this.parts.some(({ device: other }) => {
      if (read.has(other)) return false
      const account = this.accounts.get(other)
      return other === device ? account?.unhealthy !== true : account?.usable !== false
    })
  }

  /** Changes the charge. The devices keep their shares of it. */
  resize(bytes: number): void {
    const before = this.bytes
    if (bytes === before) return
    this.parts = this.parts.map(({ device, bytes: part }) => ({
      device,
      bytes: before > 0 ? Math.ceil(part / before * bytes) : Math.ceil(bytes / this.parts.length),
    }))
  }

  /** Ends the charge on all devices. */
  leave(): void {
    for (const { device } of this.parts) this.accounts.get(device)?.charges.delete(this)
  }
}
