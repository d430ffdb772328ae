/**
 * Picks the candidate with the highest score.
 *
 * @since 0.1.0
 */
import type { Candidate, Picker } from "../../services/Plugin.ts"

/**
 * Picks the highest score. Among equal scores it picks the backend whose last lease is longest ago, so that the
 * backends of an idle fleet are used in turn.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (): Picker => ({
  kind: "picker",
  name: "max-score",
  pick: (candidates) => {
    let best = 0
    for (let i = 1; i < candidates.length; i++) if (before(candidates[i]!, candidates[best]!)) best = i
    return best
  },
  before,
})

const before = (a: Candidate, b: Candidate): boolean =>
  a.score > b.score || (a.score === b.score && a.view.lastLeaseAt < b.view.lastLeaseAt)
