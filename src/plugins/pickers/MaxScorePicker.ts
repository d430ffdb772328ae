/**
 * Picks the candidate with the highest score.
 *
 * @since 0.1.0
 */
import type { Picker } from "../../services/Plugin.ts"

/**
 * The highest score; among equals the one whose last lease is longest ago, so that an idle fleet is used in turn.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (): Picker => ({
  kind: "picker",
  name: "max-score",
  pick: (candidates) => {
    let best = 0
    for (let i = 1; i < candidates.length; i++) {
      const challenger = candidates[i]!
      const holder = candidates[best]!
      if (
        challenger.score > holder.score ||
        (challenger.score === holder.score && challenger.view.lastLeaseAt < holder.view.lastLeaseAt)
      ) best = i
    }
    return best
  },
})
