/**
 * Takes one permit from two circuits, that of a backend and that of a model on this backend.
 *
 * @since 0.1.0
 */
import type { BreakerState, BreakerTransition, Permit } from "../../services/Breaker.ts"
import type { Outcome } from "../../services/Outcome.ts"
import type { Circuit } from "./Circuit.ts"
import { backendVerdict, modelVerdict } from "./verdicts.ts"

const rank = { closed: 0, "half-open": 1, open: 2, isolated: 3 } as const

/** The state that lets fewer requests through. @category combinators @since 0.1.0 */
export const worse = (a: BreakerState, b: BreakerState): BreakerState => rank[a] >= rank[b] ? a : b

/**
 * A permit, or `undefined` if one of the circuits does not allow an attempt. `moved` is called for each circuit after
 * both have taken in the outcome, so that a listener sees both new states.
 *
 * @category constructors
 * @since 0.1.0
 */
export const take = (
  ofBackend: Circuit,
  ofModel: Circuit,
  now: () => number,
  moved: (circuit: Circuit, transition: BreakerTransition | undefined) => void,
): Permit | undefined => {
  // Both are checked before one of them gives its trial away.
  if (!ofBackend.allows || !ofModel.allows) return undefined
  const backendTrial = ofBackend.take()
  const modelTrial = ofModel.take()
  const backendGeneration = ofBackend.generation
  const modelGeneration = ofModel.generation
  let recorded = false
  return {
    trial: backendTrial || modelTrial,
    record: (outcome: Outcome) => {
      if (recorded) return
      recorded = true
      const at = now()
      const backendMove = ofBackend.settle(backendGeneration, backendTrial, backendVerdict(outcome, backendTrial), at)
      const modelMove = ofModel.settle(modelGeneration, modelTrial, modelVerdict(outcome, modelTrial), at)
      moved(ofBackend, backendMove)
      moved(ofModel, modelMove)
    },
  }
}
