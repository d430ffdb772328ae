/**
 * The last requests for operators to read, each with its events and how it ended.
 *
 * @since 0.1.0
 */
import type { RequestRefused, RequestSettled, RouterEvent } from "./RouterEvents.ts"

/** An event of one request before it was settled. @category models @since 0.1.0 */
export type Step = Exclude<Extract<RouterEvent, { readonly id: string }>, RequestRefused | RequestSettled>

/** One request: how it ended, and the events before that. Never holds bodies or keys. @category models @since 0.1.0 */
export interface Decision {
  readonly settled: RequestSettled
  /** Recorded placements, failed attempts, hedges and choices of a shadow placement, in order. */
  readonly steps: ReadonlyArray<Step>
}

/** A memory of the last requests. `DecisionHistory` is one. @category models @since 0.1.0 */
export interface Decisions {
  /** The last requests, newest first, at most `limit`. */
  readonly recent: (limit: number) => ReadonlyArray<Decision>
  /** The request with this `X-Request-Id`; the newest one where several have it. */
  readonly find: (id: string) => Decision | undefined
}
