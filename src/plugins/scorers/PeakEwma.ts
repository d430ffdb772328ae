/**
 * Prefers backends that answer fast, and believes a slow answer at once.
 *
 * @since 0.1.0
 */
import type { Observer, Scorer } from "../../services/Plugin.ts"

/** @category models @since 0.1.0 */
export interface Options {
  /** Milliseconds after which a peak counts for a third (1/e). Defaults to `10000`, as Finagle's. */
  readonly decayMillis?: number | undefined
}

interface Cost {
  millis: number
  at: number
}

/**
 * An observer that hears how long first bytes take, and a scorer that prefers the least cost; put both in.
 *
 * **Details**
 *
 * Cost is the peak-sensitive moving average of the time to first byte, times the streams there would be (Finagle's "peak EWMA"): a slower answer is
 * taken over at once, a faster one little by little. The cheapest backend scores 1, one that costs twice as much 1/2; one not measured yet counts as the
 * cheapest, so that it gets measured.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (options?: Options): { readonly observer: Observer; readonly scorer: Scorer } => {
  const decayMillis = options?.decayMillis ?? 10_000
  if (!(decayMillis > 0)) throw new RangeError(`PeakEwma: decayMillis must be above 0, got ${decayMillis}`)
  const costs = new Map<string, Cost>()
  const hear = (backend: string, millis: number, at: number): void => {
    const cost = costs.get(backend)
    if (cost === undefined) {
      costs.set(backend, { millis, at })
      return
    }
    const kept = Math.exp(-Math.max(0, at - cost.at) / decayMillis)
    cost.millis = millis > cost.millis ? millis : cost.millis * kept + millis * (1 - kept)
    cost.at = at
  }
  return {
    observer: {
      kind: "observer",
      name: "peak-ewma",
      observe: (event) => {
        if (event._tag !== "RequestSettled") return
        const { backend, outcome } = event.settled
        if (backend !== undefined && outcome?.firstByteMillis !== undefined) {
          hear(backend, outcome.firstByteMillis, event.at)
        }
      },
    },
    scorer: {
      kind: "scorer",
      name: "peak-ewma",
      score: (view, demand, fleet) => {
        let least = Infinity
        for (const { backend, streams } of fleet.owners(demand.model)) {
          const known = costs.get(backend.id)
          if (known !== undefined) least = Math.min(least, known.millis * (streams + 1))
        }
        const own = costs.get(view.backend.id)
        if (own === undefined || !(own.millis > 0)) return 1
        return least / (own.millis * (view.streams + 1))
      },
    },
  }
}
