/**
 * Ranks the candidates for a request with one profile.
 *
 * @since 0.1.0
 */
import type { BackendView, FleetView } from "../../services/FleetView.ts"
import type { Explanation, Ranking } from "../../services/Placement.ts"
import type { Candidate, Profile } from "../../services/Plugin.ts"
import type { Demand } from "../../services/RoutedRequest.ts"

const empty: Ranking = { size: 0, [Symbol.iterator]: () => [][Symbol.iterator]() }

/** Limits a score to [0, 1], and NaN to 0, so that one scorer cannot outweigh the others. */
const clamp = (score: number): number => score >= 1 ? 1 : score > 0 ? score : 0

/** Best first. Each further candidate is picked only when it is asked for. */
class Picked implements Ranking {
  readonly profile: Profile
  readonly demand: Demand
  readonly random: () => number
  readonly left: Array<Candidate>
  readonly size: number
  constructor(profile: Profile, demand: Demand, random: () => number, candidates: Array<Candidate>) {
    this.profile = profile
    this.demand = demand
    this.random = random
    this.left = candidates
    this.size = candidates.length
  }
  [Symbol.iterator](): Iterator<Candidate> {
    const left = this.left.slice()
    return {
      next: () => {
        if (left.length === 0) return { done: true, value: undefined }
        const picked = left.length === 1 ? 0 : this.profile.picker.pick(left, this.demand, this.random)
        const [candidate] = left.splice(picked >= 0 && picked < left.length ? picked : 0, 1)
        return { done: false, value: candidate! }
      },
    }
  }
}

const scoreOf = (profile: Profile, view: BackendView, demand: Demand, fleet: FleetView): number => {
  let total = 0
  for (const { scorer, weight } of profile.scorers) total += weight * clamp(scorer.score(view, demand, fleet))
  return total
}

const droppedBy = (profile: Profile, view: BackendView, demand: Demand): string | undefined => {
  if (demand.excluded.includes(view.backend.id)) return "already-tried"
  for (const filter of profile.filters) if (!filter.keep(view, demand)) return filter.name
  return undefined
}

/** @category combinators @since 0.1.0 */
export const rank = (profile: Profile, demand: Demand, fleet: FleetView, random: () => number): Ranking => {
  const owners = fleet.owners(demand.model)
  const candidates: Array<Candidate> = []
  for (const view of owners) {
    if (droppedBy(profile, view, demand) === undefined) {
      candidates.push({ view, score: scoreOf(profile, view, demand, fleet) })
    }
  }
  return candidates.length === 0 ? empty : new Picked(profile, demand, random, candidates)
}

/** The same with all reasons. @category combinators @since 0.1.0 */
export const explain = (profile: Profile, demand: Demand, fleet: FleetView): ReadonlyArray<Explanation> =>
  fleet.backends.map((view): Explanation => {
    const scores = Object.fromEntries(
      profile.scorers.map(({ scorer }) => [scorer.name, clamp(scorer.score(view, demand, fleet))]),
    )
    return {
      backend: view.backend.id,
      droppedBy: view.owns(demand.model) ? droppedBy(profile, view, demand) : "has-model",
      scores,
      total: scoreOf(profile, view, demand, fleet),
    }
  })
