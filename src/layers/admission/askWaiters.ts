/**
 * One pass over the requests that wait for one model.
 *
 * @since 0.1.0
 */
import type { ModelQueue } from "./modelQueue.ts"
import { kindOf, type Waiter } from "./waiter.ts"

/**
 * What became of a request that was asked: it must `wait`, it waits for a load (`loading`), or it is `gone` from the
 * queue.
 *
 * @category models
 * @since 0.1.0
 */
export type Answer = "wait" | "loading" | "gone"

/** Asks for one request. One whose answer is known to be `loading` is not asked again. @category models @since 0.1.0 */
export type Ask<W extends Waiter> = (waiter: W, isKnown: () => boolean) => Answer

/** Asks for one request, and notes that it waits for a load. */
const askOne = <W extends Waiter>(queue: ModelQueue<W>, waiter: W, ask: Ask<W>): Answer => {
  const kind = kindOf(waiter)
  const answer = ask(waiter, () => kind !== undefined && queue.loadingKinds.has(kind))
  if (answer === "loading" && kind !== undefined) queue.loadingKinds.add(kind)
  return answer
}

const waitsForLoad = <W extends Waiter>(queue: ModelQueue<W>, waiter: W): void => {
  waiter.demand.cold = true
  waiter.loadingRound = queue.round
}

const holdsUp = (answer: Answer, { demand }: Waiter): boolean => answer === "wait" && demand.excluded.length === 0

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
  ask: Ask<W>,
): void => {
  const waitedForLoad = queue.loading
  let passedOver = 0
  queue.loadingKinds.clear()
  queue.round++
  queue.loading = false
  queue.blocked = false
  for (const waiter of queue.order.order()) {
    if (!waiter.isWaiting) continue
    const answer = askOne(queue, waiter, ask)
    if (answer === "gone") continue
    if (holdsUp(answer, waiter)) {
      queue.blocked = true
      return
    }
    if (answer === "loading") {
      if (passedOver === 0 && queue.isUniform) {
        queue.loading = true
        if (!waitedForLoad) { for (const { demand } of queue.waiters.snapshot()) demand.cold = true }
        return
      }
      waitsForLoad(queue, waiter)
    }
    passedOver++
  }
}

/**
 * Asks one that has just come, after a pass in which all others were passed over: they wait for a load or another
 * backend, and nothing has become free for them since.
 *
 * @category decisions
 * @since 0.1.0
 */
export const newcomer = <W extends Waiter>(queue: ModelQueue<W>, waiter: W, ask: Ask<W>): void => {
  // In the latest pass one answer stood for all.
  if (queue.loading) return pass(queue, ask)
  const answer = askOne(queue, waiter, ask)
  if (answer === "loading") waitsForLoad(queue, waiter)
  else if (holdsUp(answer, waiter)) queue.blocked = true
}
