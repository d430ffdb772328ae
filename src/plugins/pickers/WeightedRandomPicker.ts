/**
 * Spreads requests in proportion to the scores.
 *
 * @since 0.1.0
 */
import type { Picker } from "../../services/Plugin.ts"

/**
 * Picks a random candidate, with a probability in proportion to its score. When all scores are 0, each is equally
 * likely.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (): Picker => ({
  kind: "picker",
  name: "weighted-random",
  pick: (candidates, _demand, random) => {
    let total = 0
    for (const { score } of candidates) total += score
    if (!(total > 0)) return Math.floor(random() * candidates.length)
    let left = random() * total
    for (let i = 0; i < candidates.length; i++) {
      left -= candidates[i]!.score
      if (left < 0) return i
    }
    return candidates.length - 1
  },
})
