/**
 * Picks the better one of two random candidates. Replicas of the router do not see each other's requests; with this
 * picker they do not all choose the same backend.
 *
 * @since 0.1.0
 */
import type { Picker } from "../../services/Plugin.ts"

/**
 * Draws two different candidates and picks the one with the higher score (Mitzenmacher 2001).
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (): Picker => ({
  kind: "picker",
  name: "two-choices",
  pick: (candidates, _demand, random) => {
    const one = Math.floor(random() * candidates.length)
    if (candidates.length < 2) return one
    const step = 1 + Math.floor(random() * (candidates.length - 1))
    const other = (one + step) % candidates.length
    return candidates[other]!.score > candidates[one]!.score ? other : one
  },
})
