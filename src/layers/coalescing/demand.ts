/**
 * The demand of several clients at once.
 *
 * @since 0.1.0
 */
import type { Demand, Priority } from "../../services/RoutedRequest.ts"

/** Read anew by whoever holds it: it changes while it waits. @internal */
export type LiveDemand = { -readonly [K in keyof Demand]: Demand[K] }

/** @internal */
export const live = (demand: Demand): LiveDemand => ({ ...demand })

const order: Readonly<Record<Priority, number>> = { interactive: 0, default: 1, batch: 2 }

/** The better priority and the later deadline of the two; no deadline of its own means the longest there is. @internal */
export const improve = (into: LiveDemand, from: Demand): void => {
  if (order[from.priority] < order[into.priority]) into.priority = from.priority
  into.queueMillis = into.queueMillis === undefined || from.queueMillis === undefined
    ? undefined
    : Math.max(into.queueMillis, from.since + from.queueMillis - into.since)
}
