/**
 * One bounded queue for each model: fair between tenants, with classes that age and with deadlines. A request that
 * does not fit is shed.
 *
 * @since 0.1.0
 */
import { Layer } from "effect"
import { Admission } from "../../services/Admission.ts"
import type { Leases } from "../../services/Leases.ts"
import * as Live from "../../services/Live.ts"
import { ClassQueues, rank } from "./classQueues.ts"
import { RankedWaiter } from "./fairQueue.ts"
import { wholeNumber } from "./wholeNumber.ts"
import * as QueuedAdmission from "./QueuedAdmission.ts"

/** @category models @since 0.1.0 */
export interface Options extends QueuedAdmission.Bounds {
  /** A request counts as one class better for each so many milliseconds that it has waited. Defaults to `10000`. */
  readonly ageMillis?: number | undefined
  /** Shares of tenants, above 0. A tenant that is not named has `1`. */
  readonly tenantWeights?: Readonly<Record<string, number>> | undefined
}

const name = "BoundedAdmission"

const checkedWeights = ({ tenantWeights = {} }: Options): ReadonlyMap<string, number> => {
  const weights = new Map(Object.entries(tenantWeights))
  for (const [tenant, weight] of weights) {
    if (!(weight > 0 && weight < Infinity)) {
      throw new RangeError(`${name}: tenantWeights must be above 0, got ${weight} for ${tenant}`)
    }
  }
  return weights
}

/**
 * Bounded queues. The memory held by waiting requests is at most `queueBytes` plus their envelopes. Throws a
 * `RangeError` at an option that is out of range.
 *
 * **Details**
 *
 * - Within a class tenants take turns, by weight. A retry goes before all other requests.
 * - `interactive` goes before `default`, and `default` before `batch`. Each `ageMillis` of waiting makes a request
 *   one class better.
 * - When a queue is full, the tenant with most waiting requests for its weight gives up its latest request to a
 *   tenant that has fewer. Else a newcomer takes the place of the latest request of its own tenant in a lower class.
 *   Else the newcomer is shed.
 * - Shed and evicted requests are told the depth of the queue, and the wait as computed from how fast the queue
 *   drains: 1 to 120 seconds in `Retry-After`.
 * - Options can change while the router runs (`Live`), all but `ageMillis`. When a bound falls, no request is refused
 *   that waits already, and each keeps its deadline. The turns of tenants follow the new weights.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options?: Live.Input<Options>): Layer.Layer<Admission, never, Leases> => {
  const bounds = Live.of<Options>(options ?? {})
  const weights = Live.map(bounds, checkedWeights)
  const weightOf = (tenant: string): number => weights.now.get(tenant) ?? 1
  const ageMillis = wholeNumber(`${name}: ageMillis`, bounds.now.ageMillis, 10_000, 1)
  return Layer.effect(
    Admission,
    QueuedAdmission.makeWith((arrival) => new RankedWaiter(arrival, rank(arrival.demand, arrival.at, ageMillis)), {
      bounds,
      name,
      queue: () => new ClassQueues(weightOf, ageMillis),
      rank: ({ rank }) => rank,
    }),
  )
}

/**
 * No bounds and no deadline: what a bare Ollama does. For comparison, and for routers behind something that has bounds.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerUnbounded: Layer.Layer<Admission, never, Leases> = layer({
  queueCapacity: Infinity,
  queueBytes: Infinity,
  queueMillis: Infinity,
})
