/**
 * Weighted fair queueing between tenants: start-time fair queueing, where each request costs the same.
 *
 * @since 0.1.0
 */
import { Heap, type Placed } from "../../support/heap.ts"
import { QueueSizes } from "./queueSizes.ts"
import { type Arrival, isEarlier, Waiter } from "./waiter.ts"

/** A waiting request with a class. @category models @since 0.1.0 */
export class RankedWaiter extends Waiter implements Placed {
  index = -1
  /** Smaller is admitted first. It falls as the request ages. */
  rank: number
  /** The flow in which it waits; `undefined` once it has left. */
  flow: Flow | undefined = undefined

  constructor(arrival: Arrival, rank: number) {
    super(arrival)
    this.rank = rank
  }
}

/** The waiting requests of one tenant in one class. @category models @since 0.1.0 */
export class Flow implements Placed {
  index = -1
  readonly tenant: string
  readonly weight: number
  readonly queue: FairQueue
  readonly waiters: Heap<RankedWaiter> = new Heap<RankedWaiter>(isEarlier)
  /** Virtual time at which its next request starts. */
  start = 0
  /** While all its requests are set aside: how far its start was ahead of the queue's virtual time. */
  lead: number | undefined = undefined

  constructor(tenant: string, weight: number, queue: FairQueue) {
    this.tenant = tenant
    this.weight = weight
    this.queue = queue
  }
}

const isSooner = (a: Flow, b: Flow): boolean =>
  a.start < b.start || (a.start === b.start && isEarlier(a.waiters.first()!, b.waiters.first()!))

/**
 * The waiting requests of one class.
 *
 * **Details**
 *
 * Each tenant is a flow. The flow whose next request starts first in virtual time is served. A served request moves
 * the start of its flow by 1 / weight. So of two tenants that both wait, neither gets more than one request ahead of
 * the other. A flow that was empty for a while starts at the current virtual time: it does not save up the turns that
 * it did not use.
 *
 * While all requests of a flow are set aside, its distance from the virtual time stays the same: the flow loses no
 * turn, however many requests pass it.
 *
 * @category models
 * @since 0.1.0
 */
export class FairQueue {
  /** The flows with a request that is not set aside. */
  readonly flows: Heap<Flow> = new Heap<Flow>(isSooner)
  /** Requests, those that are set aside included. */
  size = 0
  private virtualTime = 0
  /** By the weight of the flows, which is an option: the sizes of those that have a request that is not set aside. */
  private readonly sizes = new Map<number, QueueSizes>()

  first(): RankedWaiter | undefined {
    return this.flows.first()?.waiters.first()
  }

  add(waiter: RankedWaiter, flow: Flow): void {
    waiter.flow = flow
    this.size++
    this.put(waiter, flow)
  }

  /** Takes a request out that was not served. */
  remove(waiter: RankedWaiter): void {
    const { flow } = waiter
    if (flow === undefined) return
    waiter.flow = undefined
    this.size--
    this.take(waiter, flow)
  }

  /** Keeps a request out of the order until it is brought back. */
  setAside(waiter: RankedWaiter): void {
    const { flow } = waiter
    if (flow === undefined) return
    this.take(waiter, flow)
    flow.lead = flow.waiters.size === 0 ? flow.start - this.virtualTime : undefined
  }

  /** Puts a request that was set aside into its place again, unless it has left. */
  bringBack(waiter: RankedWaiter): void {
    const { flow } = waiter
    if (flow === undefined || waiter.index >= 0) return
    if (flow.lead !== undefined) flow.start = this.virtualTime + flow.lead
    flow.lead = undefined
    this.put(waiter, flow)
  }

  /** Takes a request out that was served, and charges its tenant. */
  serve(waiter: RankedWaiter): void {
    const { flow } = waiter
    if (flow === undefined) return
    this.virtualTime = flow.start
    flow.start += 1 / flow.weight
    this.remove(waiter)
    // No request waits any more, so this one was served ahead of no other tenant.
    if (this.size === 0) this.virtualTime = flow.start
  }

  /** How many requests are served before a request of `flow` that has `own` requests of the same tenant before it. */
  ahead(own: number, flow: Flow | undefined, weight: number): number {
    let before = own
    for (const [of, sizes] of this.sizes) before += sizes.sum(turns(own, of, weight))
    return flow === undefined ? before : before - Math.min(flow.waiters.size, turns(own, flow.weight, weight))
  }

  private put(waiter: RankedWaiter, flow: Flow): void {
    flow.waiters.push(waiter)
    this.sizesOf(flow.weight).grew(flow.waiters.size)
    if (flow.index >= 0) return this.flows.moved(flow)
    flow.start = Math.max(flow.start, this.virtualTime)
    this.flows.push(flow)
  }

  private take(waiter: RankedWaiter, flow: Flow): void {
    // The flow leaves its heap first: the order of that heap reads the first request of each flow.
    this.flows.remove(flow)
    if (waiter.index >= 0) this.sizesOf(flow.weight).shrank(flow.waiters.size)
    flow.waiters.remove(waiter)
    if (flow.waiters.size > 0) this.flows.push(flow)
  }

  private sizesOf(weight: number): QueueSizes {
    let sizes = this.sizes.get(weight)
    if (sizes === undefined) this.sizes.set(weight, sizes = new QueueSizes())
    return sizes
  }
}

/** The turns that a flow of weight `of` has before the turn number `own + 1` of a flow of weight `weight`. */
const turns = (own: number, of: number, weight: number): number => Math.ceil((own + 1) * of / weight)
