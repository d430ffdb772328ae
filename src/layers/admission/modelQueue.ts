/**
 * What an admission knows of the requests that wait for one model.
 *
 * @since 0.1.0
 */
import type { QueueSnapshot } from "../../services/Admission.ts"
import type { Priority } from "../../services/Priority.ts"
import { type Refusal, type RefusalReason, refuse } from "../../services/Refusal.ts"
import type { QueuePlace } from "../../services/RoutedRequest.ts"
import { Bag } from "../../support/bag.ts"
import { DrainRate } from "./drainRate.ts"
import type { Queue } from "./queueContract.ts"
import type { CatchThrow } from "./catchThrow.ts"
import type { Home, Waiter } from "./waiter.ts"

/** Limits of `Retry-After`, in seconds. */
const retryAfterMin = 1
const retryAfterMax = 120

/** @category models @since 0.1.0 */
export class ModelQueue<W extends Waiter> implements Home {
  readonly model: string
  readonly order: Queue<W>
  /** The waiting requests, in no order. They are kept here too, so that each gets an answer whatever `order` does. */
  readonly waiters: Bag<W> = new Bag()
  readonly drain: DrainRate = new DrainRate()
  loading = false
  round = 0
  /** Whether the latest pass ended at a request that has to wait. Then a newcomer has to wait too. */
  blocked = false
  /** The kinds of requests that wait for a load, as the latest pass found out. */
  readonly loadingKinds: Set<string> = new Set()
  /** The first request, while queues are compared. */
  first: W | undefined = undefined
  private bytes = 0
  private readonly catchThrow: CatchThrow

  constructor(model: string, order: Queue<W>, catchThrow: CatchThrow) {
    this.model = model
    this.order = order
    this.catchThrow = catchThrow
  }

  get depth(): number {
    return this.waiters.size
  }

  /** Whether one request can be asked for all. */
  get isUniform(): boolean {
    return this.catchThrow(() => this.order.isUniform?.() ?? false, false)
  }

  add(waiter: W, now: number): void {
    if (this.depth === 0) this.drain.opened(now)
    this.order.add(waiter)
    this.waiters.add(waiter)
    this.bytes += waiter.demand.bytes
  }

  /** Returns whether the request was waiting. */
  remove(waiter: W, admitted: boolean): boolean {
    if (!this.waiters.remove(waiter)) return false
    this.bytes -= waiter.demand.bytes
    this.catchThrow(() => this.order.remove(waiter, admitted), undefined)
    return true
  }

  /** The request that is asked first. */
  head(): W | undefined {
    for (const waiter of this.order.order()) if (waiter.isWaiting) return waiter
    return undefined
  }

  place(waiter: W, now: number): QueuePlace {
    const ahead = this.ahead(waiter)
    return { position: ahead + 1, waitMillis: this.waitMillis(ahead, now) }
  }

  /** A refusal with the depth of the queue, and the wait that a request such as `waiter` has to expect. */
  refusal(reason: RefusalReason, message: string, waiter: W, now: number): Refusal {
    const waitMillis = this.waitMillis(this.ahead(waiter), now)
    return refuse(reason, message, {
      retryAfter: Math.min(retryAfterMax, Math.max(retryAfterMin, Math.ceil(waitMillis / 1000))),
      queue: { depth: this.depth, waitMillis },
    })
  }

  snapshot(now: number): QueueSnapshot {
    const waiters = this.waiters.snapshot()
    let tenants: QueueSnapshot["tenants"] | undefined
    return {
      model: this.model,
      depth: this.depth,
      bytes: this.bytes,
      oldestMillis: now - waiters.reduce((oldest, { demand }) => Math.min(oldest, demand.since), now),
      waitMillis: this.waitMillis(this.depth, now),
      classes: this.order.classes?.() ?? classesOf(waiters),
      // Made when it is read: there may be as many tenants as requests, and metrics do not read it.
      get tenants() {
        return tenants ??= tenantsOf(waiters)
      },
    }
  }

  private ahead(waiter: W): number {
    return this.catchThrow(() => this.order.ahead?.(waiter) ?? this.before(waiter), this.depth)
  }

  private before(waiter: W): number {
    let before = 0
    for (const other of this.order.order()) {
      if (other === waiter) break
      before++
    }
    return before
  }

  /** Milliseconds until a request with so many before it is admitted. */
  private waitMillis(ahead: number, now: number): number {
    return (ahead + 1) * this.drain.intervalMillis(now)
  }
}

const classesOf = (waiters: ReadonlyArray<Waiter>): Readonly<Record<Priority, number>> => {
  const classes: Record<Priority, number> = { interactive: 0, default: 0, batch: 0 }
  for (const { demand } of waiters) classes[demand.priority]++
  return classes
}

const tenantsOf = (waiters: ReadonlyArray<Waiter>): QueueSnapshot["tenants"] => {
  const depths = new Map<string, number>()
  for (const { demand: { tenant } } of waiters) depths.set(tenant, (depths.get(tenant) ?? 0) + 1)
  return Array.from(depths, ([tenant, depth]) => ({ tenant, depth }))
}
