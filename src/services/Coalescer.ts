/**
 * Identical work in flight is done once.
 *
 * @since 0.1.0
 */
import { Context, type Effect } from "effect"
import type { Refusal } from "./Refusal.ts"
import type { ReplySink } from "./Reply.ts"
import type { Demand } from "./RoutedRequest.ts"
import type { Settled } from "./Router.ts"

/**
 * Joins or leads a flight.
 *
 * @category services
 * @since 0.1.0
 */
export class Coalescer extends Context.Service<Coalescer, {
  /** Without a key, or in a layer that shares nothing: `lead(demand, reply)`, in the same fiber. */
  readonly join: (
    key: string | undefined,
    demand: Demand,
    reply: ReplySink,
    lead: (demand: Demand, reply: ReplySink) => Effect.Effect<Settled, Refusal>,
  ) => Effect.Effect<Settled, Refusal>
}>()("llamero/services/Coalescer") {}
