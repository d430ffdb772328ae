/**
 * Loads models shortly before they are likely to be used again, from how often they were used.
 *
 * @since 0.1.0
 */
import { Effect } from "effect"
import type { Observer, Plan, PrewarmTarget } from "../../services/Plugin.ts"
import { SweptMap } from "../../support/sweptMap.ts"

/** The histogram has bins of a minute over four hours, as in "Serverless in the Wild" (Shahrad et al., ATC 2020). */
const binMillis = 60_000
const bins = 240
const samplesMin = 20
const variationMax = 2
/** The share by which the wanted time is extended on both sides, from the same paper. */
const margin = 0.1
/** Models that are remembered. Only models in the catalog count, so that clients cannot fill this. */
const modelsMax = 4096

/** The idle times of one model: a histogram, and what its mean and variation are computed from. */
class History {
  readonly counts = new Uint32Array(bins)
  samples = 0
  beyond = 0
  sum = 0
  squares = 0
  lastAt: number

  constructor(at: number) {
    this.lastAt = at
  }

  /** Adds the milliseconds for which the model was idle before it was used again. */
  add(idle: number): void {
    const bin = Math.floor(idle / binMillis)
    if (bin >= bins) {
      this.beyond++
      return
    }
    this.counts[bin]!++
    this.samples++
    this.sum += idle
    this.squares += idle * idle
  }

  /** Whether there are enough idle times, and similar enough ones, to predict the next one. */
  get representative(): boolean {
    if (this.samples < samplesMin || this.beyond > this.samples) return false
    const mean = this.sum / this.samples
    const deviation = Math.sqrt(Math.max(0, this.squares / this.samples - mean * mean))
    return mean > 0 && deviation / mean <= variationMax
  }

  /** The bin up to which the given part of all idle times ended. */
  percentile(part: number): number {
    let seen = 0
    for (let bin = 0; bin < bins; bin++) {
      seen += this.counts[bin]!
      if (seen >= part * this.samples) return bin
    }
    return bins - 1
  }

  /** Whether the model is likely to be used soon. */
  wanted(now: number, keepMillis: number): boolean {
    const idle = now - this.lastAt
    if (!this.representative) return idle <= keepMillis
    return idle >= this.percentile(0.05) * binMillis * (1 - margin) &&
      idle <= (this.percentile(0.99) + 1) * binMillis * (1 + margin)
  }
}

/**
 * A plan, and the observer that tells it of uses. Put both into the router.
 *
 * **Details**
 *
 * Each model has a histogram of its idle times between uses. After a use, the model is wanted from the 5th percentile
 * of the idle times to the 99th, extended by 10 % on both sides. While there are fewer than 20 idle times, or their
 * coefficient of variation is above 2, it is wanted for `keepMillis` after a use. It is loaded into free memory only.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (options?: {
  /** Milliseconds for which a model without enough idle times is wanted after a use. Defaults to 10 minutes. */
  readonly keepMillis?: number | undefined
}): { readonly plan: Plan; readonly observer: Observer } => {
  const keepMillis = options?.keepMillis ?? 600_000
  const histories = new SweptMap<History>({ sweepAt: modelsMax })
  return {
    observer: {
      kind: "observer",
      name: "demand",
      observe: (event) => {
        if (event._tag !== "RequestSettled" || !event.known || event.settled.backend === undefined) return
        const history = histories.get(event.model)
        if (history === undefined) {
          histories.set(event.model, new History(event.at))
          return
        }
        // From the end of one use to the beginning of the next. Between uses that overlap the model was not idle.
        const idle = event.at - event.totalMillis - history.lastAt
        if (idle > 0) history.add(idle)
        history.lastAt = Math.max(history.lastAt, event.at)
      },
    },
    plan: {
      kind: "plan",
      name: "demand",
      targets: (now) =>
        Effect.sync(() => {
          const targets: Array<PrewarmTarget> = []
          for (const [model, history] of histories.pairs()) if (history.wanted(now, keepMillis)) targets.push({ model })
          return targets
        }),
    },
  }
}
