/**
 * The order of candidates, as a picker makes it.
 *
 * @since 0.1.0
 */
import type { Ranking } from "../../services/Placement.ts"
import type { Candidate, Picker } from "../../services/Plugin.ts"
import type { Demand } from "../../services/RoutedRequest.ts"

/** Picks that look at all candidates that are left, before the others are sorted: most decisions end at the first. */
const pickedMax = 8

/** `NaN` comes neither before nor after anything, so that a sort would not give the order of the picks. */
const isOrdered = (candidates: ReadonlyArray<Candidate>): boolean => candidates.every(({ score }) => score === score)

/**
 * Best first. Each further candidate is picked only when it is asked for. A picker that has `before` picks the first
 * ones; the rest is sorted once, into the same order.
 *
 * @category models
 * @since 0.1.0
 */
export class Picked implements Ranking {
  readonly size: number
  private readonly picker: Picker
  private readonly demand: Demand
  private readonly random: () => number
  private readonly candidates: ReadonlyArray<Candidate>
  constructor(picker: Picker, demand: Demand, random: () => number, candidates: ReadonlyArray<Candidate>) {
    this.picker = picker
    this.demand = demand
    this.random = random
    this.candidates = candidates
    this.size = candidates.length
  }
  [Symbol.iterator](): Iterator<Candidate> {
    const { before } = this.picker
    const left = this.candidates.slice()
    let picks = 0
    let at = -1
    return {
      next: () => {
        if (at < 0 && before !== undefined && picks++ === pickedMax && isOrdered(left)) {
          // Where neither comes first, the sort keeps the one first that is earlier in the list, as the picker does.
          left.sort((a, b) => before(a, b) ? -1 : before(b, a) ? 1 : 0)
          at = 0
        }
        if (at >= 0) return at < left.length ? { done: false, value: left[at++]! } : { done: true, value: undefined }
        if (left.length === 0) return { done: true, value: undefined }
        const picked = left.length === 1 ? 0 : this.picker.pick(left, this.demand, this.random)
        const [candidate] = left.splice(picked >= 0 && picked < left.length ? picked : 0, 1)
        return { done: false, value: candidate! }
      },
    }
  }
}
