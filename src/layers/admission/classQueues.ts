/**
 * The queue of `BoundedAdmission` for one model: classes that age, and within a class turns between tenants.
 *
 * @since 0.1.0
 */
import type { Priority } from "../../services/Priority.ts"
import type { Demand } from "../../services/RoutedRequest.ts"
import { Heap, type Placed } from "../../support/heap.ts"
import { FairQueue, Flow, type RankedWaiter } from "./fairQueue.ts"
import type { Queue } from "./queueContract.ts"
import { isEarlier } from "./waiter.ts"

/** Retries go first: they have waited for their turn already. */
const retryRank = 0
const rankOf: Readonly<Record<Priority, number>> = { interactive: 1, default: 2, batch: 3 }

/**
 * Tenants without waiting requests that are remembered. Clients can choose the names of tenants, so not all of them
 * can be kept.
 */
const idleTenantsMax = 256

/** One tenant of one model. */
class Tenant implements Placed {
  index = -1
  queued = 0
  /** Smaller for a tenant that is known for longer. */
  readonly number: number
  /** By rank. */
  readonly flows: ReadonlyArray<Flow>
  readonly weight: number
  constructor(name: string, number: number, weight: number, queues: ReadonlyArray<FairQueue>) {
    this.number = number
    this.weight = weight
    this.flows = queues.map((queue) => new Flow(name, weight, queue))
  }
}

const hasMore = (a: Tenant, b: Tenant): boolean => {
  const [ofA, ofB] = [a.queued / a.weight, b.queued / b.weight]
  return ofA > ofB || (ofA === ofB && a.number < b.number)
}

/**
 * The rank of a request: its class, one better for each `ageMillis` that it has waited.
 *
 * @category ordering
 * @since 0.1.0
 */
export const rank = (demand: Demand, now: number, ageMillis: number): number =>
  demand.excluded.length > 0
    ? retryRank
    : Math.max(rankOf.interactive, rankOf[demand.priority] - Math.floor(Math.max(0, now - demand.since) / ageMillis))

/** @category models @since 0.1.0 */
export class ClassQueues implements Queue<RankedWaiter> {
  /** By rank. */
  private readonly queues = [retryRank, ...Object.values(rankOf)].map(() => new FairQueue())
  private readonly tenants = new Map<string, Tenant>()
  /** Tenants with waiting requests, the one with most of them for its weight first. */
  private readonly active = new Heap<Tenant>(hasMore)
  private known = 0
  /** Requests for which a commit may give another answer than for the others. */
  private odd = 0
  private readonly weightOf: (tenant: string) => number
  private readonly ageMillis: number

  constructor(weightOf: (tenant: string) => number, ageMillis: number) {
    this.weightOf = weightOf
    this.ageMillis = ageMillis
  }

  isUniform(): boolean {
    return this.active.size <= 1 && this.odd === 0
  }

  add(waiter: RankedWaiter): void {
    const tenant = this.tenant(waiter.demand.tenant)
    if (isOdd(waiter)) this.odd++
    tenant.queued++
    if (tenant.index < 0) this.active.push(tenant)
    else this.active.moved(tenant)
    const flow = tenant.flows[waiter.rank]!
    flow.queue.add(waiter, flow)
  }

  remove(waiter: RankedWaiter, admitted: boolean): void {
    const { flow } = waiter
    if (flow === undefined) return
    if (admitted) flow.queue.serve(waiter)
    else flow.queue.remove(waiter)
    const tenant = this.tenant(waiter.demand.tenant)
    tenant.queued--
    if (tenant.queued === 0) this.active.remove(tenant)
    else this.active.moved(tenant)
    if (isOdd(waiter)) this.odd--
  }

  /** A request that the reader has passed over is set aside until the end, so that the next one comes to the front. */
  *order(): Generator<RankedWaiter, void> {
    const aside: Array<RankedWaiter> = []
    try {
      for (let waiter = this.first(); waiter !== undefined; waiter = this.first()) {
        yield waiter
        waiter.flow?.queue.setAside(waiter)
        aside.push(waiter)
      }
    } finally {
      for (const waiter of aside) waiter.flow?.queue.bringBack(waiter)
    }
  }

  /** Raises the requests that have aged, and those whose priority was raised. Gives tenants their new weights. */
  refresh(now: number): void {
    for (const [name, tenant] of this.tenants) {
      if (tenant.queued > 0 && tenant.weight !== this.weightOf(name)) this.reweigh(name, tenant)
    }
    // Collected first, because a promotion changes the heaps that are read.
    const promoted: Array<RankedWaiter> = []
    for (const queue of this.queues) {
      for (const { waiters } of queue.flows.items) {
        for (const waiter of waiters.items) {
          if (rank(waiter.demand, now, this.ageMillis) < waiter.rank) promoted.push(waiter)
        }
      }
    }
    for (const waiter of promoted) this.promote(waiter, rank(waiter.demand, now, this.ageMillis))
  }

  /**
   * The latest request of the tenant that has most requests for its weight, where that is more than the newcomer's
   * tenant would have. Else the latest request of the newcomer's own tenant in a class below the newcomer's.
   */
  displaced({ demand, rank }: RankedWaiter): RankedWaiter | undefined {
    const own = this.tenant(demand.tenant)
    const most = this.active.first()
    const share = (own.queued + 1) / own.weight
    if (most !== undefined && most !== own && (most.queued - 1) / most.weight >= share) {
      return latest(most, retryRank + 1)
    }
    return latest(own, rank + 1)
  }

  ahead(waiter: RankedWaiter): number {
    const { demand, rank } = waiter
    const known = this.tenants.get(demand.tenant)
    const flow = known?.flows[rank]
    const weight = known?.weight ?? this.weightOf(demand.tenant)
    const own = waiter.isWaiting
      ? flow?.waiters.items.reduce((sum, other) => isEarlier(other, waiter) ? sum + 1 : sum, 0) ?? 0
      : flow?.waiters.size ?? 0
    let before = this.queues[rank]!.ahead(own, flow, weight)
    for (let better = 0; better < rank; better++) before += this.queues[better]!.size
    return before
  }

  /** By the class that each request has reached by ageing. Retries count as `interactive`. */
  classes(): Readonly<Record<Priority, number>> {
    const sizeOf = (priority: Priority): number => this.queues[rankOf[priority]]!.size
    const retries = this.queues[retryRank]!.size
    return { interactive: sizeOf("interactive") + retries, default: sizeOf("default"), batch: sizeOf("batch") }
  }

  private first(): RankedWaiter | undefined {
    for (const queue of this.queues) {
      const waiter = queue.first()
      if (waiter !== undefined) return waiter
    }
    return undefined
  }

  private promote(waiter: RankedWaiter, rank: number): void {
    const { flow } = waiter
    if (flow === undefined || rank >= waiter.rank) return
    flow.queue.remove(waiter)
    waiter.rank = rank
    const better = this.tenant(waiter.demand.tenant).flows[rank]!
    better.queue.add(waiter, better)
  }

  /**
   * Moves a tenant to its new weight. Its requests keep their order and their classes, and it keeps what it has been
   * charged for. None of its requests may be set aside.
   */
  private reweigh(name: string, old: Tenant): Tenant {
    const tenant = new Tenant(name, old.number, this.weightOf(name), this.queues)
    const waiters = old.flows.flatMap((flow, rank) => {
      tenant.flows[rank]!.start = flow.start
      return flow.waiters.items.slice()
    })
    for (const waiter of waiters) {
      const flow = tenant.flows[waiter.rank]!
      waiter.flow?.queue.remove(waiter)
      flow.queue.add(waiter, flow)
    }
    tenant.queued = old.queued
    if (old.index >= 0) this.active.remove(old)
    if (tenant.queued > 0) this.active.push(tenant)
    this.tenants.set(name, tenant)
    return tenant
  }

  private tenant(name: string): Tenant {
    let tenant = this.tenants.get(name)
    if (tenant !== undefined) {
      const isLasting = tenant.queued > 0 || tenant.weight === this.weightOf(name)
      return isLasting ? tenant : this.reweigh(name, tenant)
    }
    if (this.tenants.size > 2 * this.active.size + idleTenantsMax) {
      for (const [other, { queued }] of this.tenants) if (queued === 0) this.tenants.delete(other)
    }
    tenant = new Tenant(name, ++this.known, this.weightOf(name), this.queues)
    this.tenants.set(name, tenant)
    return tenant
  }
}

const isOdd = ({ demand }: RankedWaiter): boolean =>
  demand.excluded.length > 0 || demand.numCtx !== undefined || !demand.loads

/** The request that came last, of the worst class that the tenant has, but of no class better than `rank`. */
const latest = ({ flows }: Tenant, rank: number): RankedWaiter | undefined => {
  for (let worst = flows.length - 1; worst >= rank; worst--) {
    const waiters = flows[worst]!.waiters.items
    if (waiters.length > 0) return waiters.reduce((a, b) => isEarlier(a, b) ? b : a)
  }
  return undefined
}
