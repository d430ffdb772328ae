/**
 * Spreads requests in proportion to the scores.
 *
 * @since 0.1.0
 */
import type { Picker } from "../../services/Plugin.ts"

/**
 * One at random, each as likely as its score is high; any when all score 0.
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
