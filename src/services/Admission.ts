/**
 * Whether a request may start now, waits its turn, or is shed.
 *
 * @since 0.1.0
 */
import { Context, type Effect } from "effect"
import type { Commit, Lease } from "./Leases.ts"
import type { Refusal } from "./Refusal.ts"
import type { Priority } from "./Priority.ts"
import type { Demand } from "./RoutedRequest.ts"

/**
 * One queue, now.
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
  /** The wait that a request which came now has to expect, in milliseconds, by how fast the queue drains. */
  readonly waitMillis: number
  /** Waiting requests of each class; a request that has aged counts in the class that it has reached. */
  readonly classes: Readonly<Record<Priority, number>>
  /** Waiting requests of each tenant that has at least one. */
  readonly tenants: ReadonlyArray<{ readonly tenant: string; readonly depth: number }>
}

/**
 * Admits requests.
 *
 * @category services
 * @since 0.1.0
 */
export class Admission extends Context.Service<Admission, {
  /**
   * Asks `commit` for a lease and runs `use` with it. A lease that `use` has not released is released as `ignored`
   * at the end. With an empty queue and a commit that succeeds, nothing suspends.
   *
   * A request that is told `wait` or `loading` keeps its place in the queue. The time spent `loading` does not count
   * against its deadline. `priority` and `deadline` of the demand are read again while it waits. `commit` is told how
   * many requests wait for the model, its own request included.
   */
  readonly admit: <A, E, R>(
    demand: Demand,
    commit: (waiting: number) => Commit,
    use: (lease: Lease) => Effect.Effect<A, E, R>,
  ) => Effect.Effect<A, E | Refusal, R>
  /** The queues with waiting requests. */
  readonly queues: () => ReadonlyArray<QueueSnapshot>
}>()("llamero/services/Admission") {}
