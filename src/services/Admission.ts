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
  /** Milliseconds the one that has waited longest has waited. */
  readonly oldestMillis: number
  /** Milliseconds that one who came now would wait, by how fast the queue has been draining. */
  readonly waitMillis: number
  /** Waiting requests of each class, as they have aged. */
  readonly classes: Readonly<Record<Priority, number>>
  /** Waiting requests of each tenant that has any. */
  readonly tenants: ReadonlyArray<{ readonly tenant: string; readonly depth: number }>
}

/**
 * Bounded waiting.
 *
 * @category services
 * @since 0.1.0
 */
export class Admission extends Context.Service<Admission, {
  /**
   * Brackets `use` with a lease, which is released as `ignored` if `use` has not released it. With an empty queue and a commit that succeeds nothing suspends.
   * `wait` and `loading` keep the place; the time spent `loading` does not count against the queue deadline. `priority` and `deadline` of the demand are read
   * again while it waits. A commit is told how many wait for the model, its own request included.
   */
  readonly admit: <A, E, R>(
    demand: Demand,
    commit: (waiting: number) => Commit,
    use: (lease: Lease) => Effect.Effect<A, E, R>,
  ) => Effect.Effect<A, E | Refusal, R>
  /** The queues that are not empty. */
  readonly queues: () => ReadonlyArray<QueueSnapshot>
}>()("llamero/services/Admission") {}
