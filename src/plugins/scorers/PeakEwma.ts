/**
 * Prefers backends that answer fast, and notices a slow answer at once.
 *
 * @since 0.1.0
 */
import { loadOf } from "../../services/Fleet.ts"
import type { BackendView, FleetView } from "../../services/FleetView.ts"
import type { Observer, Scorer } from "../../services/Plugin.ts"
import { decay, movingAverage } from "../../support/movingAverage.ts"
import { SweptMap } from "../../support/sweptMap.ts"

/** @category models @since 0.1.0 */
export interface Options {
  /** Milliseconds after which a peak counts for 1/e, about a third. Defaults to `10000`, as in Finagle. */
  readonly decayMillis?: number | undefined
}

interface Latency {
  millis: number
  at: number
}

/**
 * An observer that measures times to first byte, and a scorer that prefers the backend with the least cost. Put both
 * into the router.
 *
 * **Details**
 *
 * This is Finagle's "peak EWMA". The cost of a backend is a moving average of its time to first byte, times the load
 * (`Fleet.loadOf`) that one more stream would make. A slower answer replaces the average at once; a faster one lowers
 * it little by little, so that a backend in trouble is avoided soon and trusted again slowly.
 *
 * The cheapest backend scores 1, and one that costs twice as much scores 1/2. A backend without a measurement scores 1,
 * so that it gets requests and is measured.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (options?: Options): { readonly observer: Observer; readonly scorer: Scorer } => {
  const decayMillis = options?.decayMillis ?? 10_000
  if (!(decayMillis > 0)) throw new RangeError(`PeakEwma.make: decayMillis must be above 0, got ${decayMillis}`)
  const latencies = new SweptMap<Latency>({ sweepAt: 64 })

  const record = (backend: string, millis: number, at: number): void => {
    const known = latencies.get(backend)
    if (known === undefined) {
      latencies.set(backend, { millis, at })
      return
    }
    const kept = millis > known.millis ? 0 : decay(at - known.at, decayMillis)
    known.millis = movingAverage(known.millis, millis, 1 - kept)
    known.at = at
  }

  /** `undefined` before the first measurement. */
  const costOf = ({ backend, streams }: BackendView): number | undefined => {
    const known = latencies.get(backend.id)
    return known === undefined ? undefined : known.millis * loadOf(backend, streams + 1)
  }

  /** The least cost of the owners, computed once for each ranking and not for each backend in it. */
  let least:
    | { readonly fleet: FleetView; readonly moment: number; readonly owners: unknown; readonly cost: number }
    | undefined
  const leastOf = (fleet: FleetView, owners: ReadonlyArray<BackendView>): number => {
    const { moment } = fleet
    if (moment !== undefined && least?.moment === moment && least.fleet === fleet && least.owners === owners) {
      return least.cost
    }
    let cost = Infinity
    for (const view of owners) cost = Math.min(cost, costOf(view) ?? Infinity)
    if (moment !== undefined) least = { fleet, moment, owners, cost }
    return cost
  }

  return {
    observer: {
      kind: "observer",
      name: "peak-ewma",
      observe: (event) => {
        if (event._tag !== "RequestSettled") return
        const { backend, outcome } = event.settled
        if (backend !== undefined && outcome?.firstByteMillis !== undefined) {
          record(backend, outcome.firstByteMillis, event.at)
        }
      },
    },
    scorer: {
      kind: "scorer",
      name: "peak-ewma",
      score: (view, demand, fleet) => {
        const own = costOf(view)
        if (own === undefined || !(own > 0)) return 1
        return Math.min(own, leastOf(fleet, fleet.owners(demand.model))) / own
      },
    },
  }
}
