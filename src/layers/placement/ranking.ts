/**
 * Ranks the candidates for a request with one profile.
 *
 * @since 0.1.0
 */
import type { BackendView, FleetView } from "../../services/FleetView.ts"
import type { Explanation, Ranking } from "../../services/Placement.ts"
import type { Candidate, Profile } from "../../services/Plugin.ts"
import type { Demand } from "../../services/RoutedRequest.ts"
import { Picked } from "./picked.ts"

const empty: Ranking = { size: 0, [Symbol.iterator]: () => [][Symbol.iterator]() }

/** Limits a score to [0, 1], and NaN to 0, so that one scorer cannot outweigh the others. */
const clamp = (score: number): number => score >= 1 ? 1 : score > 0 ? score : 0

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
  return candidates.length === 0 ? empty : new Picked(profile.picker, demand, random, candidates)
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
