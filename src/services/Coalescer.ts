/**
 * Identical work in flight is done once.
 *
 * @since 0.1.0
 */
import { Context, type Effect } from "effect"
import type { Refusal } from "./Refusal.ts"
import type { ReplySink } from "./Reply.ts"
import type { Demand, RoutedRequest } from "./RoutedRequest.ts"
import type { Settled } from "./Router.ts"

/**
 * Gets an answer from a backend. Runs in the fiber of one client where `reply` is that client's own; else in the router's scope, for as long as anyone wants
 * the answer. `request` gives what to send where it is not the client's own request; asked for when a lease is held, since a batch grows until then.
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
 * Joins or leads a flight.
 *
 * @category services
 * @since 0.1.0
 */
export class Coalescer extends Context.Service<Coalescer, {
  /** For a request that is shared with nobody, or in a layer that shares nothing: `lead(demand, reply)`, in the same fiber. */
  readonly join: (
    request: RoutedRequest,
    demand: Demand,
    reply: ReplySink,
    lead: Lead,
  ) => Effect.Effect<Settled, Refusal>
  /** Flights under way. */
  readonly active: () => number
}>()("llamero/services/Coalescer") {}
