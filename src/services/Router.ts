/**
 * Runs the whole pipeline of a request (guards, coalescing, admission, attempts, the final event) behind one function.
 *
 * @since 0.1.0
 */
import { Context, type Effect, type Exit } from "effect"
import type { Outcome } from "./Outcome.ts"
import type { Refusal } from "./Refusal.ts"
import type { Refused } from "./Refused.ts"
import type { ReplySink } from "./Reply.ts"
import type { RoutedRequest } from "./RoutedRequest.ts"
import type { Trace } from "./Trace.ts"

/**
 * How a request ended. Each request has exactly one.
 *
 * @category models
 * @since 0.1.0
 */
export interface Settled {
  readonly result: "answered" | "refused" | "canceled"
  /** The status that the client got; 499 when the client left before. */
  readonly status: number
  readonly refusal: Refusal | undefined
  /** Outcome of the last attempt, when there was one. */
  readonly outcome: Outcome | undefined
  /** Id of the backend of the last attempt. */
  readonly backend: string | undefined
  readonly attempts: number
  /** Milliseconds from arrival to the last commit. */
  readonly queuedMillis: number
  /**
   * The answer came from the call of another request: of an identical one, or of a batch of embedding inputs. The
   * attempts are in that request's record; this one has none.
   */
  readonly coalesced?: "identical" | "batch" | undefined
  /** The trace of a call that requests share, with its attempts. */
  readonly call?: Trace | undefined
}

/**
 * A request that is being routed.
 *
 * @category models
 * @since 0.1.0
 */
export interface Routing {
  /** Ends it because the client has left. */
  readonly interrupt: () => void
}

/**
 * Answers a request. Never fails. Interrupt it when the client has left.
 *
 * @category models
 * @since 0.1.0
 */
export interface Route {
  (request: RoutedRequest, reply: ReplySink): Effect.Effect<Settled>
  /**
   * The same without a fiber where none is needed: servers call it for each request. Calls `ended` once, perhaps before
   * it returns. Where this is absent, servers run the effect. It belongs to the function, so that a router that wraps
   * `route` of another one need not wrap it, too.
   */
  readonly start?:
    | ((request: RoutedRequest, reply: ReplySink, ended: (exit: Exit.Exit<Settled>) => void) => Routing)
    | undefined
}

const key = "llamero/services/Router"
const Base: Context.ServiceClass<Router, typeof key, Service> = Context.Service<Router, Service>()(key)

/**
 * Routes requests.
 *
 * @category services
 * @since 0.1.0
 */
export class Router extends Base {}

/** The members of `Router`. @category services @since 0.1.0 */
export interface Service {
  readonly route: Route
  /** Number of requests that have not ended, queued ones included. */
  readonly active: () => number
  /** Refuses every new request as `Draining` from then on. Requests that have begun go on. */
  readonly drain: Effect.Effect<void>
  /** How many retries the budget of the retry policy has left; absent, or `undefined`, where there is no budget. */
  readonly retryBudget?: (() => number | undefined) | undefined
  /**
   * Servers tell it of each request that they have refused before they could route it, so that it leaves an event and a
   * span. It must not throw.
   */
  readonly refused?: ((request: Refused) => void) | undefined
  /** Whether `drain` has run. From then on the readiness check fails. */
  readonly draining: () => boolean
}
