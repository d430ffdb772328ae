/**
 * Every request makes its own upstream call.
 *
 * @since 0.1.0
 */
import { Layer } from "effect"
import { Coalescer, type Join } from "../../services/Coalescer.ts"

const join: Join = (_request, demand, reply, lead) => lead(demand, reply)

/**
 * Shares nothing: `lead` runs in the caller's own fiber, for every request. A client that leaves ends only its own
 * call.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<Coalescer> = Layer.succeed(Coalescer, {
  join: Object.assign(join, { isAlone: () => true }),
  active: () => 0,
})
