/**
 * Every request is its own flight.
 *
 * @since 0.1.0
 */
import { Layer } from "effect"
import { Coalescer } from "../../services/Coalescer.ts"

/**
 * Shares nothing: `lead` runs in the caller's own fiber, whatever the request, so a client that leaves ends its own work and no other's.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<Coalescer> = Layer.succeed(Coalescer, {
  join: (_request, demand, reply, lead) => lead(demand, reply),
  active: () => 0,
})
