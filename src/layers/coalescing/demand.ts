/**
 * The demand of several clients together.
 *
 * @since 0.1.0
 */
import type { Priority } from "../../services/Priority.ts"
import type { Demand } from "../../services/RoutedRequest.ts"

/** A demand that changes while it waits: its reader must read it again each time. @internal */
export type LiveDemand = { -readonly [K in keyof Demand]: Demand[K] }

/** @internal */
export const live = (demand: Demand): LiveDemand => ({ ...demand })

const order: Readonly<Record<Priority, number>> = { interactive: 0, default: 1, batch: 2 }

/**
 * Until when a client that joins may wait. A client without a limit of its own has the limit of admission, which is at
 * least what the flight was given.
 */
const deadlineOf = (deadline: number, into: Demand, { queueMillis, since }: Demand): number => {
  const given = deadline - into.since
  const wanted = queueMillis ?? given
  return since + (into.queueMillis === undefined ? Math.min(wanted, given) : wanted)
}

/**
 * Takes the better priority and the later deadline of the two. No deadline of its own means the longest possible.
 *
 * @internal
 */
export const improve = (into: LiveDemand, from: Demand): void => {
  if (order[from.priority] < order[into.priority]) into.priority = from.priority
  // The deadline is set only once the request waits in the queue.
  if (into.deadline !== undefined) into.deadline = Math.max(into.deadline, deadlineOf(into.deadline, into, from))
  into.queueMillis = into.queueMillis === undefined || from.queueMillis === undefined
    ? undefined
    : Math.max(into.queueMillis, from.since + from.queueMillis - into.since)
}
