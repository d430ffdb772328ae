/**
 * Weighted fair queueing between tenants: start-time fair queueing, where each request costs the same.
 *
 * @since 0.1.0
 */
import { Heap, type Placed } from "../../support/heap.ts"
import { earlier, type Entry } from "./entry.ts"

/** What of one tenant waits in one class. @category models @since 0.1.0 */
export class Flow implements Placed {
  index = -1
  readonly tenant: string
  readonly weight: number
  readonly queue: FairQueue
  readonly entries = new Heap<Entry>(earlier)
  /** Virtual time at which its next one starts. */
  start = 0
  /** While all it has is set aside: how far its start was ahead of the queue's time. */
  lead: number | undefined = undefined

  constructor(tenant: string, weight: number, queue: FairQueue) {
    this.tenant = tenant
    this.weight = weight
    this.queue = queue
  }
}

const sooner = (a: Flow, b: Flow): boolean =>
  a.start < b.start || (a.start === b.start && earlier(a.entries.first()!, b.entries.first()!))

/**
 * The waiting requests of one class.
 *
 * **Details**
 *
 * Each tenant is a flow. Served is the flow whose next request starts first in virtual time, and each one served puts its flow back by 1 / weight; so of two
 * tenants that both wait, neither gets more than one ahead of the other. A flow that comes back after a pause starts now: what it did not use is not saved up.
 * For a flow that is set aside time stands still: it loses no turn to others that are set aside too, however many pass them meanwhile.
 *
 * @category models
 * @since 0.1.0
 */
export class FairQueue {
  /** The flows in which something can be tried. */
  readonly flows = new Heap<Flow>(sooner)
  /** Also what is set aside. */
  size = 0
  private now = 0

  first(): Entry | undefined {
    return this.flows.first()?.entries.first()
  }

  add(entry: Entry, flow: Flow): void {
    entry.flow = flow
    this.size++
    this.put(entry, flow)
  }

  /** It leaves, and has had nothing. */
  remove(entry: Entry): void {
    const { flow } = entry
    if (flow === undefined) return
    entry.flow = undefined
    this.size--
    this.take(entry, flow)
  }

  /** It stays, but others are tried before it until it is brought back. */
  setAside(entry: Entry): void {
    const { flow } = entry
    if (flow === undefined) return
    this.take(entry, flow)
    flow.lead = flow.entries.size === 0 ? flow.start - this.now : undefined
  }

  /** In its place again, unless it has left meanwhile. */
  bringBack(entry: Entry): void {
    const { flow } = entry
    if (flow === undefined || entry.index >= 0) return
    if (flow.lead !== undefined) flow.start = this.now + flow.lead
    flow.lead = undefined
    this.put(entry, flow)
  }

  /** It leaves with a lease, which its tenant is charged for. */
  serve(entry: Entry): void {
    const { flow } = entry
    if (flow === undefined) return
    this.now = flow.start
    flow.start += 1 / flow.weight
    this.remove(entry)
    // Nobody waits any more, so it was served ahead of nobody.
    if (this.size === 0) this.now = flow.start
  }

  /** How many of others go before the tenant's request that has `own` of its own in front. */
  ahead(own: number, flow: Flow | undefined, weight: number): number {
    let before = own
    for (const other of this.flows.items) {
      if (other !== flow) before += Math.min(other.entries.size, Math.ceil((own + 1) * other.weight / weight))
    }
    return before
  }

  private put(entry: Entry, flow: Flow): void {
    flow.entries.push(entry)
    if (flow.index >= 0) return this.flows.moved(flow)
    flow.start = Math.max(flow.start, this.now)
    this.flows.push(flow)
  }

  private take(entry: Entry, flow: Flow): void {
    // Out of the heap first: its order needs a first entry.
    this.flows.remove(flow)
    flow.entries.remove(entry)
    if (flow.entries.size > 0) this.flows.push(flow)
  }
}
