/**
 * Prefers backends that load a model quickly.
 *
 * @since 0.1.0
 */
import type { Scorer } from "../../services/Plugin.ts"

/**
 * 1 where the model is in memory; else `half / (half + loadMillis)`, where `loadMillis` is the expected time of a load
 * there. Where the model is loading already, the distance to 1 is halved.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (options?: {
  /** The milliseconds of a load that score 1/2. Defaults to 5 seconds. */
  readonly halfMillis?: number | undefined
}): Scorer => {
  const half = options?.halfMillis ?? 5000
  if (!(half > 0)) throw new RangeError(`LoadTimeScorer.make: halfMillis must be above 0, got ${half}`)
  return {
    kind: "scorer",
    name: "load-time",
    score: (view, { model }) => {
      const state = model.remote ? "resident" : view.residency(model)
      if (state === "resident") return 1
      const score = half / (half + view.loadMillis(model))
      return state === "loading" ? (1 + score) / 2 : score
    },
  }
}
