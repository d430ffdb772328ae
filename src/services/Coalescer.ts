/**
 * Identical requests in flight share one upstream call.
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
 * Where `reply` is the client's own, it runs in the fiber of that client. Where `reply` is shared, it runs in the
 * router's scope, as long as some client wants the answer. `request` returns the request to send where that is not the
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
 * Joins the flight of an identical request, or leads a new one.
 *
 * @category services
 * @since 0.1.0
 */
export class Coalescer extends Context.Service<Coalescer, {
  /** A request that must not be shared, or a layer that shares nothing: `lead(demand, reply)`, in the same fiber. */
  readonly join: (
    request: RoutedRequest,
    demand: Demand,
    reply: ReplySink,
    lead: Lead,
  ) => Effect.Effect<Settled, Refusal>
  /** Number of upstream calls under way. */
  readonly active: () => number
}>()("llamero/services/Coalescer") {}
