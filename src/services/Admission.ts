/**
 * Decides whether a request starts now, waits in a queue, or is shed: refused because of load.
 *
 * @since 0.1.0
 */
import { Context, type Effect } from "effect"
import type { Commit, Lease } from "./Leases.ts"
import type { Refusal } from "./Refusal.ts"
import type { Priority } from "./Priority.ts"
import type { Demand } from "./RoutedRequest.ts"

/**
 * The state of one queue at one moment.
 *
 * @category models
 * @since 0.1.0
 */
export interface QueueSnapshot {
  /** Canonical key of the model. */
  readonly model: string
  readonly depth: number
  readonly bytes: number
  /** How long the oldest waiting request has waited, in milliseconds. */
  readonly oldestMillis: number
  /** The expected wait of a request that comes now, in milliseconds, estimated from how fast the queue empties. */
  readonly waitMillis: number
  /** Waiting requests of each class. A request that has waited long counts in the higher class that it has reached. */
  readonly classes: Readonly<Record<Priority, number>>
  /** Waiting requests of each tenant that has at least one. */
  readonly tenants: ReadonlyArray<{ readonly tenant: string; readonly depth: number }>
}

/**
 * A request that was admitted without a fiber.
 *
 * @category models
 * @since 0.1.0
 */
export interface Admitted {
  readonly lease: Lease
  /** Call it once, when the lease is not used any more. It releases the lease as `ignored` if nothing else has. */
  readonly end: () => void
}

/**
 * Asks `commit` for a lease and runs `use` with it. If `use` does not release the lease, it is released as `ignored` at
 * the end. If the queue is empty and the commit succeeds, the fiber does not suspend.
 *
 * If `commit` answers `wait` or `loading`, the request keeps its place in the queue. The time spent `loading` does not
 * count against its deadline. `priority` and `deadline` of the demand are read again while it waits. The argument of
 * `commit` is the number of requests that wait for the model, this one included.
 *
 * @category models
 * @since 0.1.0
 */
export interface Admit {
  <A, E, R>(
    demand: Demand,
    commit: (waiting: number) => Commit,
    use: (lease: Lease) => Effect.Effect<A, E, R>,
  ): Effect.Effect<A, E | Refusal, R>
  /**
   * The same without a fiber, for a request that need not wait. `undefined` when it has to: then it is admitted by the
   * effect in the same step. Where this is absent, all requests are. It belongs to the function, so that an admission
   * that wraps `admit` of another one need not wrap it, too.
   */
  readonly now?: ((demand: Demand, commit: (waiting: number) => Commit) => Admitted | undefined) | undefined
}

const key = "llamero/services/Admission"
const Base: Context.ServiceClass<Admission, typeof key, Service> = Context.Service<Admission, Service>()(key)

/**
 * Admits requests.
 *
 * @category services
 * @since 0.1.0
 */
export class Admission extends Base {}

/** The members of `Admission`. @category services @since 0.1.0 */
export interface Service {
  readonly admit: Admit
  /** The queues with waiting requests. */
  readonly queues: () => ReadonlyArray<QueueSnapshot>
}
