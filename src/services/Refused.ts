/**
 * A request that a server has refused by itself, before the router could take it.
 *
 * @since 0.1.0
 */
import type { RefusalReason } from "./Refusal.ts"

/** What is known of such a request. @category models @since 0.1.0 */
export interface Refused {
  /** Its `X-Request-Id`, or the id that the server has made. */
  readonly id: string
  readonly method: string
  /** As the client wrote it, without its query; at most 256 characters. */
  readonly path: string
  /** The path in the table of inference paths; `undefined` for all other paths. */
  readonly route: string | undefined
  /** The status of the answer. */
  readonly status: number
  /** `undefined` where a route that is not inference has answered. */
  readonly reason: RefusalReason | undefined
  /** When its head came, in milliseconds by the router's clock. */
  readonly arrivedAt: number
  /** Names and values in turn, as the client sent them. */
  readonly headers: ReadonlyArray<string>
}

const pathMax = 256

/** The path of a request's target, as `Refused` has it. @category constructors @since 0.1.0 */
export const pathOf = (target: string): string => {
  const query = target.indexOf("?")
  return target.slice(0, Math.min(pathMax, query < 0 ? target.length : query))
}
