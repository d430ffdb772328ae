/**
 * Permits that cover two circuits: a backend's, and that of one model on it.
 *
 * @since 0.1.0
 */
import type { BreakerState, BreakerTransition, Permit } from "../../services/Breaker.ts"
import type { Outcome } from "../../services/Outcome.ts"
import type { Circuit } from "./Circuit.ts"
import { backendVerdict, modelVerdict } from "./verdicts.ts"

const rank = { closed: 0, "half-open": 1, open: 2, isolated: 3 } as const

/** The one that lets less through. @category combinators @since 0.1.0 */
export const worse = (a: BreakerState, b: BreakerState): BreakerState => rank[a] >= rank[b] ? a : b

/** `moved` hears of both circuits once both are settled. @category constructors @since 0.1.0 */
export const take = (
  whole: Circuit,
  one: Circuit,
  now: () => number,
  moved: (circuit: Circuit, transition: BreakerTransition | undefined) => void,
): Permit | undefined => {
  // Both are asked before either gives its trial away.
  if (!whole.allows || !one.allows) return undefined
  const wholeTrial = whole.take()
  const oneTrial = one.take()
  const wholeGeneration = whole.generation
  const oneGeneration = one.generation
  let recorded = false
  return {
    trial: wholeTrial || oneTrial,
    record: (outcome: Outcome) => {
      if (recorded) return
      recorded = true
      const at = now()
      const ofWhole = whole.settle(wholeGeneration, wholeTrial, backendVerdict(outcome, wholeTrial), at)
      const ofOne = one.settle(oneGeneration, oneTrial, modelVerdict(outcome), at)
      moved(whole, ofWhole)
      moved(one, ofOne)
    },
  }
}
