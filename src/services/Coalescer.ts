/**
 * Lets identical requests share one call to a backend, while the first of them is being answered.
 *
 * @since 0.1.0
 */
import { Context, type Effect } from "effect"
import type { Refusal } from "./Refusal.ts"
import type { ReplySink } from "./Reply.ts"
import type { Demand, RoutedRequest } from "./RoutedRequest.ts"
import type { Settled } from "./Router.ts"

/**
 * Gets an answer from a backend.
 *
 * **Details**
 *
 * If `reply` belongs to one client, the call runs in the fiber of that client. If `reply` is shared, the call runs in
 * the router's scope, as long as a client wants the answer. `request` returns the request to send, if that is not the
 * client's own. It is called when a lease is held, because a batch grows until then.
 *
 * @category models
 * @since 0.1.0
 */
export type Lead = (
  demand: Demand,
  reply: ReplySink,
  request?: () => RoutedRequest,
) => Effect.Effect<Settled, Refusal>

/**
 * Answers the request, by another call or by its own. An unshared request runs `lead(demand, reply)` in its fiber.
 *
 * @category models
 * @since 0.1.0
 */
export interface Join {
  (request: RoutedRequest, demand: Demand, reply: ReplySink, lead: Lead): Effect.Effect<Settled, Refusal>
  /**
   * Whether the answer to a request is never shared, so that the effect would only run `lead`. Such a request needs no
   * fiber. Where this is absent, every request runs the effect. It belongs to the function, so that a coalescer that
   * wraps `join` of another one need not wrap it, too.
   */
  readonly isAlone?: ((request: RoutedRequest) => boolean) | undefined
}

const key = "llamero/services/Coalescer"
const Base: Context.ServiceClass<Coalescer, typeof key, Service> = Context.Service<Coalescer, Service>()(key)

/**
 * Joins the flight of an identical request, or leads a new one.
 *
 * @category services
 * @since 0.1.0
 */
export class Coalescer extends Base {}

/** The members of `Coalescer`. @category services @since 0.1.0 */
export interface Service {
  readonly join: Join
  /** Number of upstream calls under way. */
  readonly active: () => number
}
