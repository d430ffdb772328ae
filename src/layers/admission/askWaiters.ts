/**
 * One pass over the requests that wait for one model.
 *
 * @since 0.1.0
 */
import type { ModelQueue } from "./modelQueue.ts"
import { asksAlike, type Waiter } from "./waiter.ts"

/**
 * What became of a request that was asked: it must `wait`, it waits for a load (`loading`), or it is `gone` from the
 * queue.
 *
 * @category models
 * @since 0.1.0
 */
export type Answer = "wait" | "loading" | "gone"

/**
 * Asks the requests in their order, and stops at the first that must wait: a later one would overtake it.
 *
 * **Details**
 *
 * Two kinds of requests do not hold up the others: a request that waits for a load, and a retry that may not go to a
 * backend on which it has already failed. Of the requests that wait for a load and ask for the same, only the first
 * is asked.
 *
 * @category decisions
 * @since 0.1.0
 */
export const pass = <W extends Waiter>(
  queue: ModelQueue<W>,
  ask: (waiter: W, isKnown: (waiter: W) => boolean) => Answer,
): void => {
  const waitedForLoad = queue.loading
  /** One of each kind that waits for a load. */
  const loading: Array<W> = []
  let passedOver = 0
  let known = false
  const isKnown = (waiter: W): boolean => known = loading.some((other) => asksAlike(other, waiter))
  queue.round++
  queue.loading = false
  queue.blocked = false
  for (const waiter of queue.order.order()) {
    if (!waiter.isWaiting) continue
    const answer = ask(waiter, isKnown)
    if (answer === "gone") continue
    if (answer === "wait" && waiter.demand.excluded.length === 0) {
      queue.blocked = true
      return
    }
    if (answer === "loading") {
      if (passedOver === 0 && queue.isUniform) {
        queue.loading = true
        if (!waitedForLoad) { for (const { demand } of queue.waiters.snapshot()) demand.cold = true }
        return
      }
      waiter.demand.cold = true
      waiter.loadingRound = queue.round
      if (!known) loading.push(waiter)
    }
    passedOver++
  }
}
