/**
 * The waiting requests of one model: its classes, the shares of its tenants, and how fast it drains.
 *
 * @since 0.1.0
 */
import type { Priority } from "../../services/Priority.ts"
import type { Demand } from "../../services/RoutedRequest.ts"
import { DrainRate } from "./drainRate.ts"
import { earlier, type Entry } from "./entry.ts"
import { FairQueue, Flow } from "./fairQueue.ts"

/** Retries go first of all: they have waited their turn already. */
const retried = 0
const classes: ReadonlyArray<Priority> = ["interactive", "default", "batch"]
const rankOf: Readonly<Record<Priority, number>> = { interactive: 1, default: 2, batch: 3 }

/** Tenants without anything waiting that are remembered. They choose their names themselves, so not all can be. */
const idleTenantsMax = 256

/** One tenant of one model. */
class Tenant {
  queued = 0
  /** By rank. */
  readonly flows: ReadonlyArray<Flow>
  readonly weight: number
  constructor(name: string, weight: number, queues: ReadonlyArray<FairQueue>) {
    this.weight = weight
    this.flows = queues.map((queue) => new Flow(name, weight, queue))
  }
}

/** @category models @since 0.1.0 */
export class WaitingLine {
  readonly drain = new DrainRate()
  readonly model: string
  size = 0
  bytes = 0
  /** Whether all of it waits for a load. */
  loading = false
  /** Number of the last look at all of it. */
  round = 0
  /** Whether nobody could go when last tried: then a newcomer cannot either. */
  stopped = false
  private readonly queues: ReadonlyArray<FairQueue>
  private readonly tenants = new Map<string, Tenant>()
  /** Tenants with something waiting. */
  private active = 0
  /** Entries for which a commit may say something else than for the others. */
  private odd = 0
  private readonly weightOf: (tenant: string) => number

  constructor(model: string, weightOf: (tenant: string) => number) {
    this.model = model
    this.weightOf = weightOf
    this.queues = [retried, ...Object.values(rankOf)].map(() => new FairQueue())
  }

  /** The rank of an entry: its class, one better for each `ageMillis` it has waited. */
  static rank(demand: Demand, now: number, ageMillis: number): number {
    if (demand.excluded.length > 0) return retried
    return Math.max(rankOf.interactive, rankOf[demand.priority] - Math.floor((now - demand.since) / ageMillis))
  }

  /** Whether all that wait are alike as far as a commit goes, so that one answer is everybody's. */
  get uniform(): boolean {
    return this.active <= 1 && this.odd === 0
  }

  add(entry: Entry, now: number): void {
    if (this.size === 0) this.drain.opened(now)
    const tenant = this.tenant(entry.demand.tenant)
    if (tenant.queued === 0) this.active++
    if (isOdd(entry)) this.odd++
    tenant.queued++
    this.size++
    this.bytes += entry.demand.bytes
    const flow = tenant.flows[entry.rank]!
    flow.queue.add(entry, flow)
  }

  /** Whether it was there. `served`: its tenant is charged for it. */
  remove(entry: Entry, served: boolean): boolean {
    const { flow } = entry
    if (flow === undefined) return false
    if (served) flow.queue.serve(entry)
    else flow.queue.remove(entry)
    const tenant = this.tenant(entry.demand.tenant)
    tenant.queued--
    if (tenant.queued === 0) this.active--
    if (isOdd(entry)) this.odd--
    this.size--
    this.bytes -= entry.demand.bytes
    return true
  }

  /** Who goes next. */
  first(): Entry | undefined {
    for (const queue of this.queues) {
      const entry = queue.first()
      if (entry !== undefined) return entry
    }
    return undefined
  }

  /** In no order. */
  entries(): Array<Entry> {
    return this.queues.flatMap((queue) => queue.flows.items.flatMap((flow) => flow.entries.items))
  }

  /** It has aged, or is wanted by somebody with a better class. */
  promote(entry: Entry, rank: number): void {
    const { flow } = entry
    if (flow === undefined || rank >= entry.rank) return
    flow.queue.remove(entry)
    entry.rank = rank
    const better = this.tenant(entry.demand.tenant).flows[rank]!
    better.queue.add(entry, better)
  }

  /**
   * Who gives way to a newcomer when the line is full: the latest of the tenant that has most for its weight, where that is more than the newcomer's would
   * have; else one of the newcomer's own, of a class below its own.
   */
  displaced(newcomer: string, rank: number): Entry | undefined {
    const own = this.tenant(newcomer)
    let most: Tenant | undefined
    for (const tenant of this.tenants.values()) {
      if (most === undefined || tenant.queued / tenant.weight > most.queued / most.weight) most = tenant
    }
    const share = (own.queued + 1) / own.weight
    if (most !== undefined && most !== own && (most.queued - 1) / most.weight >= share) return latest(most, retried + 1)
    return latest(own, rank + 1)
  }

  /** How many go before it, as things are; before a newcomer of the tenant where it does not wait yet. */
  ahead(tenant: string, rank: number, entry?: Entry): number {
    const known = this.tenants.get(tenant)
    const flow = known?.flows[rank]
    const weight = known?.weight ?? this.weightOf(tenant)
    const own = entry === undefined
      ? flow?.entries.size ?? 0
      : flow?.entries.items.reduce((sum, other) => earlier(other, entry) ? sum + 1 : sum, 0) ?? 0
    let before = this.queues[rank]!.ahead(own, flow, weight)
    for (let better = 0; better < rank; better++) before += this.queues[better]!.size
    return before
  }

  /** Milliseconds until one with so many before it is through. */
  waitMillis(ahead: number, now: number): number {
    return (ahead + 1) * this.drain.intervalMillis(now)
  }

  /** Waiting requests of each class, as they have aged; retries count as the best. */
  depths(): Readonly<Record<Priority, number>> {
    const [first = 0, ...rest] = this.queues.map(({ size }) => size)
    const depth = (priority: Priority, more: number): number => (rest[classes.indexOf(priority)] ?? 0) + more
    return { interactive: depth("interactive", first), default: depth("default", 0), batch: depth("batch", 0) }
  }

  /** Waiting requests of each tenant that has any. */
  shares(): ReadonlyArray<{ readonly tenant: string; readonly depth: number }> {
    return Array.from(this.tenants).filter(([, { queued }]) => queued > 0)
      .map(([tenant, { queued }]) => ({ tenant, depth: queued }))
  }

  private tenant(name: string): Tenant {
    let tenant = this.tenants.get(name)
    if (tenant !== undefined) return tenant
    if (this.tenants.size > 2 * this.active + idleTenantsMax) {
      for (const [other, { queued }] of this.tenants) if (queued === 0) this.tenants.delete(other)
    }
    tenant = new Tenant(name, this.weightOf(name), this.queues)
    this.tenants.set(name, tenant)
    return tenant
  }
}

const isOdd = ({ demand }: Entry): boolean => demand.excluded.length > 0 || demand.numCtx !== undefined || !demand.loads

/** The one that came last, of the worst class it has, but of none better than `rank`. */
const latest = ({ flows }: Tenant, rank: number): Entry | undefined => {
  for (let worst = flows.length - 1; worst >= rank; worst--) {
    const entries = flows[worst]!.entries.items
    if (entries.length > 0) return entries.reduce((a, b) => earlier(a, b) ? b : a)
  }
  return undefined
}
