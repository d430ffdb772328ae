/**
 * Makes an admission with a queue from the order in which requests are admitted. It keeps all other rules of the
 * contract.
 *
 * **Example** (Last in, first out)
 *
 * ```ts
 * import { Layer } from "effect"
 * import { Admission, QueuedAdmission } from "llamero"
 *
 * const lastInFirstOut = (): QueuedAdmission.Queue => {
 *   const stack: Array<QueuedAdmission.Waiter> = []
 *   return {
 *     add: (waiter) => void stack.unshift(waiter),
 *     remove: (waiter) => void stack.splice(stack.indexOf(waiter), 1),
 *     order: () => stack.slice(),
 *   }
 * }
 *
 * const layer = Layer.effect(Admission.Admission, QueuedAdmission.make({ queue: lastInFirstOut }))
 * ```
 *
 * @since 0.1.0
 */
import { Clock, Duration, Effect, Exit, type Scope } from "effect"
import { Admission, type Admit, type Admitted } from "../../services/Admission.ts"
import { needsResident } from "../../services/Host.ts"
import { type Commit, isLease, type Lease, Leases } from "../../services/Leases.ts"
import * as Live from "../../services/Live.ts"
import { unused } from "../../services/Outcome.ts"
import type { Refusal } from "../../services/Refusal.ts"
import type { Demand } from "../../services/RoutedRequest.ts"
import { every } from "../../support/every.ts"
import type { ModelQueue } from "./modelQueue.ts"
import { wholeNumber } from "./wholeNumber.ts"
import type { Queue } from "./queueContract.ts"
import { Queues } from "./protocol.ts"
import * as CatchThrow from "./catchThrow.ts"
import { type Arrival, Waiter } from "./waiter.ts"

export type { Queue } from "./queueContract.ts"
export { type Arrival, type Home, isEarlier, Waiter } from "./waiter.ts"

/** How often deadlines are checked: an eviction is late by at most this. */
const sweepInterval = Duration.millis(100)

/** How many requests may wait, and for how long. @category models @since 0.1.0 */
export interface Bounds {
  /** Requests waiting for one model; `Infinity` for no bound. Defaults to `128`. */
  readonly queueCapacity?: number | undefined
  /** Bodies waiting, all models together, in bytes; `Infinity` for no bound. Defaults to 256 MiB. */
  readonly queueBytes?: number | undefined
  /**
   * Longest wait, in milliseconds; `Infinity` for no bound. The time spent waiting for a load that has begun does not
   * count. Defaults to `30000`.
   */
  readonly queueMillis?: number | undefined
}

/** The order of the queues, and their bounds. @category models @since 0.1.0 */
export interface Options<W extends Waiter = Waiter> extends Bounds {
  /**
   * Bounds that can change while the router runs, in place of those given here. When one falls, no request is refused
   * that waits already: those above the bound wait on, each until its own deadline. Defaults to the bounds given here.
   */
  readonly bounds?: Live.Live<Bounds> | undefined
  /** Makes the empty queue of one model. It is called once for each model, with the model's canonical key. */
  readonly queue: (model: string) => Queue<W>
  /** Names the layer in errors. Defaults to `"QueuedAdmission"`. */
  readonly name?: string | undefined
  /**
   * Between models, the request with the lowest rank is asked first, then the one that arrived first. Defaults to the
   * same rank for all.
   */
  readonly rank?: ((waiter: W) => number) | undefined
}

const checkedBounds = (name: string) => ({ queueBytes, queueCapacity, queueMillis }: Bounds) => ({
  queueCapacity: wholeNumber(`${name}: queueCapacity`, queueCapacity, 128),
  queueBytes: wholeNumber(`${name}: queueBytes`, queueBytes, 256 * 1024 * 1024),
  queueMillis: wholeNumber(`${name}: queueMillis`, queueMillis, 30_000),
})

/**
 * An admission whose queues need to know nothing more of a request than its demand and its number.
 *
 * **Details**
 *
 * With an empty queue and a commit that succeeds, nothing suspends. Otherwise the request waits, within the bounds,
 * until it is admitted, refused by its commit, shed, or evicted at its deadline, or until its client leaves. Requests
 * are asked again when a lease or anything else becomes free. A commit that throws ends its own request only.
 *
 * `admit` fails with the refusal of the commit, with `QueueFull` where a bound is reached, and with `DeadlineExceeded`
 * at the deadline, which is checked every 100 milliseconds. The last two tell the depth of the queue and the wait that
 * the request has to expect, in `Retry-After` from 1 to 120 seconds.
 *
 * Throws a `RangeError` at a bound that is not a whole number of at least 0. Dies with `NeedsResidentHost` where no
 * process stays resident between requests.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (options: Options): Effect.Effect<Admission["Service"], never, Leases | Scope.Scope> =>
  makeWith((arrival) => new Waiter(arrival), options)

/**
 * As `make`, for queues that keep something of their own in each waiting request: a class that extends `Waiter`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const makeWith = <W extends Waiter>(
  waiter: (arrival: Arrival) => W,
  { name = "QueuedAdmission", queue, rank = () => 0, bounds, ...fixed }: Options<W>,
): Effect.Effect<Admission["Service"], never, Leases | Scope.Scope> => {
  const plan = { queue, waiter, rank, bounds: Live.map(bounds ?? Live.of<Bounds>(fixed), checkedBounds(name)) }
  return Effect.gen(function* () {
    yield* needsResident(name, "QueuelessAdmission")
    const leases = yield* Leases
    const queues = new Queues(plan, yield* Clock.Clock, yield* CatchThrow.make)
    const stop = leases.onFree(() => queues.offer())
    yield* Effect.addFinalizer(() => Effect.sync(stop))
    const sweep = Effect.gen(function* () {
      for (const _ of queues.sweep()) yield* Effect.yieldNow
    })
    yield* Effect.forkScoped(every(sweepInterval, sweep))
    return Admission.of({
      admit: admitting(queues),
      queues: () => queues.snapshots(),
    })
  })
}

/** A lease in use: from its beginning to its end the queue learns how long a use of the model takes. */
class Use<W extends Waiter> implements Admitted {
  readonly lease: Lease
  private readonly queues: Queues<W>
  private readonly queue: ModelQueue<W>
  private readonly begun: number

  constructor(queues: Queues<W>, queue: ModelQueue<W>, lease: Lease) {
    this.lease = lease
    this.queues = queues
    this.queue = queue
    this.begun = queues.now()
    queue.drain.began()
  }

  end(): void {
    this.queue.drain.ended(this.queues.now() - this.begun)
    this.lease.release(unused)
  }
}

const admitNow = <W extends Waiter>(
  queues: Queues<W>,
  demand: Demand,
  commit: (waiting: number) => Commit,
): Admitted | undefined => {
  const queue = queues.of(demand.model.key)
  if (queue.depth > 0 && demand.excluded.length === 0) return undefined
  const committed = commit(queue.depth + 1)
  return isLease(committed) ? new Use(queues, queue, committed) : undefined
}

const admitting = <W extends Waiter>(queues: Queues<W>): Admit =>
  Object.assign(
    <A, E, R>(demand: Demand, commit: (waiting: number) => Commit, use: (lease: Lease) => Effect.Effect<A, E, R>) =>
      admit(queues, demand, commit, use),
    { now: (demand: Demand, commit: (waiting: number) => Commit) => admitNow(queues, demand, commit) },
  )

/** Lets an effect be interrupted again. */
type Restore = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>

/** Uninterruptible but for the wait and the use: at any moment a lease has an owner that releases it. */
const admit = <W extends Waiter, A, E, R>(
  queues: Queues<W>,
  demand: Demand,
  commit: (waiting: number) => Commit,
  use: (lease: Lease) => Effect.Effect<A, E, R>,
): Effect.Effect<A, E | Refusal, R> =>
  Effect.uninterruptibleMask((restore): Effect.Effect<A, E | Refusal, R> => {
    const queue = queues.of(demand.model.key)
    const isFirst = queue.depth === 0
    let loading = false
    // A retry does not wait behind requests that may go to the backend on which it has failed.
    if (isFirst || demand.excluded.length > 0) {
      const commits = commit(queue.depth + 1)
      if (isLease(commits)) return hold(queues, queue, commits, use, restore)
      if (typeof commits === "object") return Effect.fail(commits)
      loading = commits === "loading"
    }
    const waiter = queues.join(queue, demand, commit, loading)
    if (!(waiter instanceof Waiter)) return Effect.fail(waiter)
    // The requests before it wait for a load or a backend that this one may not need.
    if (!isFirst && !queue.blocked && !queue.isUniform) queues.offerNewcomer(queue, waiter)
    return Effect.flatMap(Effect.exit(restore(waiter.turn())), (exit): Effect.Effect<A, E | Refusal, R> => {
      queues.leave(queue, waiter)
      if (Exit.isSuccess(exit) && waiter.lease !== undefined) return hold(queues, queue, waiter.lease, use, restore)
      // Interrupted between the grant and the wake-up: the lease goes back, for the next request.
      waiter.lease?.release(unused)
      return Exit.isFailure(exit) ? Effect.failCause(exit.cause) : Effect.die("admitted without a lease")
    })
  })

/** Uses a lease, and releases it at the end unless `use` has done so. */
const hold = <W extends Waiter, A, E, R>(
  queues: Queues<W>,
  queue: ModelQueue<W>,
  lease: Lease,
  use: (lease: Lease) => Effect.Effect<A, E, R>,
  restore: Restore,
): Effect.Effect<A, E, R> => {
  const held = new Use(queues, queue, lease)
  return Effect.onExit(restore(Effect.suspend(() => use(lease))), () => Effect.sync(() => held.end()))
}
