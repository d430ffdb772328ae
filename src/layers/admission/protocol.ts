/**
 * The protocol of an admission that queues, for all models: which requests wait, which
 * of them are asked, and how each wait ends.
 *
 * @since 0.1.0
 */
import { type Clock, Effect, Result } from "effect"
import type { QueueSnapshot } from "../../services/Admission.ts"
import { type Commit, isLease } from "../../services/Leases.ts"
import type { Live } from "../../services/Live.ts"
import type { Refusal } from "../../services/Refusal.ts"
import type { Demand } from "../../services/RoutedRequest.ts"
import { ModelQueue } from "./modelQueue.ts"
import { type Answer, newcomer, pass } from "./askWaiters.ts"
import type { Queue } from "./queueContract.ts"
import type { CatchThrow } from "./catchThrow.ts"
import { type Arrival, isEarlier, type Waiter } from "./waiter.ts"
import { SweptMap } from "../../support/sweptMap.ts"

/** @category models @since 0.1.0 */
export interface Plan<W extends Waiter> {
  readonly queue: (model: string) => Queue<W>
  readonly waiter: (arrival: Arrival) => W
  readonly rank: (waiter: W) => number
  readonly bounds: Live<{
    readonly queueCapacity: number
    readonly queueBytes: number
    readonly queueMillis: number
  }>
}

/** Requests that are evicted in one turn of the event loop. */
const evictionsMax = 500

/** Whether a request has reached its deadline. The time for which it waits for a load does not count. */
const isDue = (waiter: Waiter, now: number, passed: number): boolean => {
  const { demand } = waiter
  if (!waiter.isWaiting || demand.deadline === undefined) return false
  if (!waiter.loading) return now >= demand.deadline
  demand.deadline += passed
  return false
}

/** @category models @since 0.1.0 */
export class Queues<W extends Waiter> {
  private readonly byModel = new SweptMap<ModelQueue<W>>({ isIdle: ({ depth }) => depth === 0 })
  private readonly plan: Plan<W>
  private readonly clock: Clock.Clock
  private readonly catchThrow: CatchThrow
  /** Bytes of all waiting requests. */
  private bytes = 0
  private waiting = 0
  private arrivals = 0
  private sweptAt: number
  private isOffering = false
  private offersAgain = false

  constructor(plan: Plan<W>, clock: Clock.Clock, catchThrow: CatchThrow) {
    this.plan = plan
    this.clock = clock
    this.catchThrow = catchThrow
    this.sweptAt = this.now()
  }

  now(): number {
    return this.clock.currentTimeMillisUnsafe()
  }

  /** The queue of a model. It is kept when it is empty, since it remembers how long a use of the model takes. */
  of(model: string): ModelQueue<W> {
    let queue = this.byModel.get(model)
    if (queue === undefined) {
      queue = new ModelQueue(model, this.plan.queue(model), this.catchThrow)
      this.byModel.set(model, queue)
    }
    return queue
  }

  snapshots(): ReadonlyArray<QueueSnapshot> {
    const now = this.now()
    return Array.from(this.byModel.values()).filter(({ depth }) => depth > 0).map((queue) => queue.snapshot(now))
  }

  /**
   * Begins the wait of a request, or says why it may not wait. One synchronous step, so that two cannot take the last
   * place.
   */
  join(queue: ModelQueue<W>, demand: Demand, commit: (waiting: number) => Commit, loading: boolean): W | Refusal {
    const at = this.now()
    const waiter = this.plan.waiter({ demand, commit, home: queue, number: ++this.arrivals, at })
    const refusal = this.makePlace(queue, waiter, at)
    if (refusal !== undefined) return refusal
    const { queueMillis } = this.plan.bounds.now
    demand.deadline ??= at + Math.min(demand.queueMillis ?? queueMillis, queueMillis)
    const isFirst = queue.depth === 0
    queue.add(waiter, at)
    if (isFirst) {
      queue.loading = loading
      queue.loadingKinds.clear()
      queue.blocked = !loading && demand.excluded.length === 0
    }
    this.bytes += demand.bytes
    this.waiting++
    demand.waiting = waiter
    if (queue.loading) demand.cold = true
    return waiter
  }

  /** Ends the wait of a request, unless it has ended. */
  leave(queue: ModelQueue<W>, waiter: W, admitted = false): void {
    if (!queue.remove(waiter, admitted)) return
    waiter.demand.waiting = undefined
    this.bytes -= waiter.demand.bytes
    this.waiting--
  }

  /**
   * Admits the requests that can go now, of all models or of one. A commit can itself free something (it may start a
   * load), so this may be called while it runs: then it starts over at the end.
   */
  offer(only?: ModelQueue<W>): void {
    if (this.waiting === 0) return
    if (this.isOffering) {
      this.offersAgain = true
      return
    }
    this.isOffering = true
    this.offersAgain = only === undefined
    if (only !== undefined) this.offerTo(only)
    while (this.offersAgain) {
      this.offersAgain = false
      for (const queue of this.catchThrow(() => this.inOrder(), [])) this.offerTo(queue)
    }
    this.isOffering = false
  }

  /** Asks for a request that has just come, unless others are asked already: then they include it. */
  offerNewcomer(queue: ModelQueue<W>, waiter: W): void {
    if (this.isOffering) return this.offer(queue)
    this.isOffering = true
    this.catchThrow(() => newcomer(queue, waiter, (one, isKnown) => this.ask(queue, one, isKnown)), undefined)
    this.isOffering = false
    if (this.offersAgain) this.offer()
  }

  /**
   * Looks at all deadlines, lets the orders follow the time, and offers. Where thousands of requests end at once, it
   * yields in between, so that other work can be done.
   */
  *sweep(): Generator<void, void> {
    const now = this.now()
    const passed = now - this.sweptAt
    this.sweptAt = now
    if (this.waiting === 0) return
    for (const queue of this.byModel.values()) {
      let evicted = 0
      for (const waiter of queue.waiters.snapshot()) {
        try {
          if (!isDue(waiter, now, passed)) continue
          this.evict(queue, waiter, now)
        } catch (error) {
          this.end(queue, waiter, Effect.die(error))
        }
        if (++evicted % evictionsMax === 0) yield
      }
      if (queue.depth > 0) this.catchThrow(() => queue.order.refresh?.(now), undefined)
    }
    this.offer()
  }

  private offerTo(queue: ModelQueue<W>): void {
    this.catchThrow(() => pass(queue, (waiter, isKnown) => this.ask(queue, waiter, isKnown)), undefined)
  }

  /**
   * The queues that are not empty. The queue whose first request has the lowest rank goes first, then the one that
   * arrived first.
   */
  private inOrder(): ReadonlyArray<ModelQueue<W>> {
    const { rank } = this.plan
    const queues = Array.from(this.byModel.values()).filter((queue) => {
      queue.first = queue.depth === 0 ? undefined : this.catchThrow(() => queue.head(), undefined)
      return queue.first !== undefined
    })
    if (queues.length < 2) return queues
    return queues.sort(({ first: a }, { first: b }) => rank(a!) - rank(b!) || (isEarlier(a!, b!) ? -1 : 1))
  }

  /** Asks for one request. A throw, as from a plugin, ends this request and does not stop the queue. */
  private ask(queue: ModelQueue<W>, waiter: W, isKnown: () => boolean): Answer {
    const asked = Result.try(() => isKnown() ? "loading" : waiter.commit(queue.depth))
    if (Result.isFailure(asked)) return this.end(queue, waiter, Effect.die(asked.failure))
    const commit = asked.success
    if (typeof commit === "string") return commit
    if (!isLease(commit)) return this.end(queue, waiter, Effect.fail(commit))
    waiter.lease = commit
    queue.drain.granted(this.now())
    this.leave(queue, waiter, true)
    waiter.settle(Effect.void)
    return "gone"
  }

  private end(queue: ModelQueue<W>, waiter: W, result: Effect.Effect<void, Refusal>): "gone" {
    this.leave(queue, waiter)
    waiter.settle(result)
    return "gone"
  }

  private evict(queue: ModelQueue<W>, waiter: W, now: number): void {
    this.leave(queue, waiter)
    const why = queue.refusal("DeadlineExceeded", `waited too long for ${queue.model}`, waiter, now)
    waiter.settle(Effect.fail(why))
  }

  /** Makes a place for a newcomer, or says why there is none. */
  private makePlace(queue: ModelQueue<W>, newcomer: W, now: number): Refusal | undefined {
    const { queueBytes, queueCapacity } = this.plan.bounds.now
    const shed = (waiter: W, why: string): Refusal => queue.refusal("QueueFull", why, waiter, now)
    if (this.bytes + newcomer.demand.bytes > queueBytes) return shed(newcomer, "too many bytes are waiting")
    if (queue.depth < queueCapacity) return undefined
    const full = `the queue for ${queue.model} is full`
    const displaced = this.catchThrow(() => queue.order.displaced?.(newcomer), undefined)
    if (displaced === undefined || !displaced.isWaiting) return shed(newcomer, full)
    this.leave(queue, displaced)
    displaced.settle(Effect.fail(shed(displaced, full)))
    return undefined
  }
}
