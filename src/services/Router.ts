/**
 * The pipeline as one call: guards, coalescing, admission, attempts, settled.
 *
 * @since 0.1.0
 */
import { Context, type Effect } from "effect"
import type { Outcome } from "./Outcome.ts"
import type { Refusal } from "./Refusal.ts"
import type { ReplySink } from "./Reply.ts"
import type { RoutedRequest } from "./RoutedRequest.ts"

/**
 * How a request ended: exactly one of these for each request.
 *
 * @category models
 * @since 0.1.0
 */
export interface Settled {
  readonly result: "answered" | "refused" | "canceled"
  /** Sent to the client; 499 when the client left before. */
  readonly status: number
  readonly refusal: Refusal | undefined
  /** Of the last attempt, where there was one. */
  readonly outcome: Outcome | undefined
  readonly backend: string | undefined
  readonly attempts: number
  /** Milliseconds from arrival to the last commit. */
  readonly queuedMillis: number
  /**
   * Answered by an upstream call that stands in the record of another request: one for an identical request, or one for several embedding inputs. It has no
   * attempts of its own.
   */
  readonly coalesced?: "identical" | "batch" | undefined
}

/**
 * Routes requests.
 *
 * @category services
 * @since 0.1.0
 */
export class Router extends Context.Service<Router, {
  /** Never fails. Interruption means that the client left. */
  readonly route: (request: RoutedRequest, reply: ReplySink) => Effect.Effect<Settled>
  /** Requests under way, queued ones included. */
  readonly active: () => number
  /** From now on every request is refused as `Draining`; the ones under way go on. */
  readonly drain: Effect.Effect<void>
  /** Whether `drain` has run: readiness says no from then on. */
  readonly draining: () => boolean
}>()("llamero/services/Router") {}
