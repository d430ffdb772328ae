/**
 * The order in which the requests that wait for one model are admitted.
 *
 * @since 0.1.0
 */
import type { Priority } from "../../services/Priority.ts"
import type { Waiter } from "./waiter.ts"

/**
 * The waiting requests of one model, in an order. `QueuedAdmission` does everything else: it asks for leases, evicts
 * at the deadline, keeps the bounds, and gives each request exactly one answer.
 *
 * **Details**
 *
 * `add`, `remove` and `order` are enough. No function may suspend. A throw is logged and stops nothing: the requests
 * that are left in a queue that throws are evicted at their deadlines.
 *
 * @category models
 * @since 0.1.0
 */
export interface Queue<W extends Waiter = Waiter> {
  /** A request begins to wait. A throw ends this one request. */
  readonly add: (waiter: W) => void
  /**
   * A request no longer waits: it was admitted (`admitted`), refused or evicted, or its client left. Called once for
   * each `add`.
   */
  readonly remove: (waiter: W, admitted: boolean) => void
  /**
   * All waiting requests, the first to be admitted first. Requests are removed and added while the result is read:
   * return a copy, or an iterator that stays correct then. The reader may stop early.
   */
  readonly order: () => Iterable<W>
  /**
   * The queue is full: the waiting request that is shed, so that `newcomer` can have its place. `undefined` sheds the
   * newcomer. When absent, the newcomer is shed.
   */
  readonly displaced?: ((newcomer: W) => W | undefined) | undefined
  /**
   * How many requests are admitted before this one, which may be a newcomer. When absent, those before it in `order`.
   */
  readonly ahead?: ((waiter: W) => number) | undefined
  /**
   * Called about ten times a second while requests wait, for an order that changes with time. `now` in milliseconds.
   */
  readonly refresh?: ((now: number) => void) | undefined
  /**
   * Whether a commit gives the same answer to all waiting requests. Then only the first is asked. When absent, each
   * is asked.
   */
  readonly isUniform?: (() => boolean) | undefined
  /** Waiting requests of each class, for metrics. When absent, they are counted by the `priority` of their demands. */
  readonly classes?: (() => Readonly<Record<Priority, number>>) | undefined
}
