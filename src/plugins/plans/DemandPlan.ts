/**
 * Loads models shortly before they are likely to be used again.
 *
 * @since 0.1.0
 */
import { Effect } from "effect"
import type { Observer, Plan, PrewarmTarget } from "../../services/Plugin.ts"

/** Bins of a minute, four hours of them: Serverless in the Wild (ATC 2020). */
const binMillis = 60_000
const bins = 240
const samplesMin = 20
const variationMax = 2
/** Added on both sides, as there. */
const margin = 0.1
/** Names remembered: those that the catalog knows, so no client can fill this. */
const modelsMax = 4096

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

  /** Used again after so long. */
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

  get representative(): boolean {
    if (this.samples < samplesMin || this.beyond > this.samples) return false
    const mean = this.sum / this.samples
    const deviation = Math.sqrt(Math.max(0, this.squares / this.samples - mean * mean))
    return mean > 0 && deviation / mean <= variationMax
  }

  /** The bin within which so much of all idle times ended. */
  percentile(part: number): number {
    let seen = 0
    for (let bin = 0; bin < bins; bin++) {
      seen += this.counts[bin]!
      if (seen >= part * this.samples) return bin
    }
    return bins - 1
  }

  wanted(now: number, keepMillis: number): boolean {
    const idle = now - this.lastAt
    if (!this.representative) return idle <= keepMillis
    return idle >= this.percentile(0.05) * binMillis * (1 - margin) &&
      idle <= (this.percentile(0.99) + 1) * binMillis * (1 + margin)
  }
}

/**
 * A plan and the observer that feeds it; put both into the router.
 *
 * **Details**
 *
 * Each model has a histogram of how long it lay idle between uses. It is wanted from the 5th percentile of that to the 99th, with 10 % on both sides. Until there
 * are 20 samples whose variation is at most 2, it is wanted for `keepMillis` after a use. Into free memory only.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (options?: {
  /** Defaults to 10 minutes. */
  readonly keepMillis?: number | undefined
}): { readonly plan: Plan; readonly observer: Observer } => {
  const keepMillis = options?.keepMillis ?? 600_000
  const histories = new Map<string, History>()
  return {
    observer: {
      kind: "observer",
      name: "demand",
      observe: (event) => {
        if (event._tag !== "RequestSettled" || !event.known || event.settled.backend === undefined) return
        const history = histories.get(event.model)
        if (history === undefined) {
          if (histories.size < modelsMax) histories.set(event.model, new History(event.at))
          return
        }
        // From the end of one use to the beginning of the next; those that overlap left it no time to be idle.
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
          for (const [model, history] of histories) if (history.wanted(now, keepMillis)) targets.push({ model })
          return targets
        }),
    },
  }
}
