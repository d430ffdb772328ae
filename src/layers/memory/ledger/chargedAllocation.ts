/**
 * An allocation with bytes on devices.
 *
 * @since 0.1.0
 */
import type { Allocation, AllocationState, Share } from "../../../services/VramLedger.ts"
import type { Charge, DeviceBook } from "./deviceBook.ts"
import { isLoading } from "./plainAllocations.ts"

/** What the ledger does when an allocation moves. @category models @since 0.1.0 */
export interface Owner {
  readonly moved: (allocation: ChargedAllocation, from: AllocationState) => void
}

/**
 * Charged to each of its devices until it is gone.
 *
 * @category models
 * @since 0.1.0
 */
export class ChargedAllocation implements Allocation, Charge {
  readonly backend: string
  readonly model: string
  /** The explicit context it was loaded with; `undefined` is Ollama's own. */
  readonly numCtx: number | undefined
  current: AllocationState
  /** One for each device on which it may be, with what is charged there: of several, Ollama chooses by itself. */
  parts: ReadonlyArray<Share>
  /** What `/api/ps` showed last; unlike what is charged, without any margin. */
  observed = 0
  /** Devices whose last good reading had its memory in it. */
  readonly seen = new Set<string>()
  /** Since when all its memory is there, in the order of readings; never before a load has ended, nor once a release has begun. */
  residentSeq = Infinity
  releasingAt = Infinity
  releasingSeq = Infinity
  /** What was free on each device when its release began, where its memory was in that reading. */
  readonly freeBefore = new Map<string, number>()
  private readonly books: ReadonlyMap<string, DeviceBook>
  private readonly owner: Owner

  constructor(
    backend: string,
    model: string,
    numCtx: number | undefined,
    state: AllocationState,
    parts: ReadonlyArray<Share>,
    books: ReadonlyMap<string, DeviceBook>,
    owner: Owner,
  ) {
    this.backend = backend
    this.model = model
    this.numCtx = numCtx
    this.current = state
    this.parts = parts
    this.books = books
    this.owner = owner
    for (const { device } of parts) books.get(device)?.charges.add(this)
  }

  readonly shares = (): ReadonlyArray<Share> => this.parts.filter(({ bytes }) => bytes > 0)
  readonly state = (): AllocationState => this.current

  readonly move = (to: AllocationState): void => {
    const from = this.current
    if (from === "gone" || from === to) return
    // What is on its way out does not come back: its devices wait for the memory.
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

  /**
   * Whether a device on which it may be can be fuller than anybody knows: its load has not ended, or a backend with several devices chose where to put it, and
   * not all of them have been read since.
   */
  get unsettled(): boolean {
    if (isLoading(this.current)) return true
    if (this.parts.length === 1) return false
    const read = this.current === "releasing" ? this.freeBefore : this.seen
    return read.size < this.parts.length
  }

  /** Charges another sum, divided as before. */
  resize(bytes: number): void {
    const before = this.bytes
    if (bytes === before) return
    this.parts = this.parts.map(({ device, bytes: part }) => ({
      device,
      bytes: before > 0 ? Math.ceil(part / before * bytes) : Math.ceil(bytes / this.parts.length),
    }))
  }

  leave(): void {
    for (const { device } of this.parts) this.books.get(device)?.charges.delete(this)
  }
}
