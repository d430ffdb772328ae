/**
 * Ranks candidates with one profile of plugins.
 *
 * @since 0.1.0
 */
import { Effect, Layer, Random } from "effect"
import type { BackendView, FleetView } from "../../services/FleetView.ts"
import { type Explanation, Placement, type Ranking } from "../../services/Placement.ts"
import type { Candidate, Profile } from "../../services/Plugin.ts"
import type { Demand } from "../../services/RoutedRequest.ts"

const empty: Ranking = { size: 0, [Symbol.iterator]: () => [][Symbol.iterator]() }

/** NaN and what is outside [0, 1] must not let one scorer outweigh the others. */
const clamp = (score: number): number => score >= 1 ? 1 : score > 0 ? score : 0

/** Best first; the order beyond the first is only found when it is asked for. */
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

/** One profile for every request, or the one that a request gets: by its tenant, its model, its kind. @category models @since 0.1.0 */
export type ProfileInput = Profile | ((demand: Demand) => Profile)

const make = (input: ProfileInput) =>
  Effect.map(Random.Random, (random) => {
    const next = () => random.nextDoubleUnsafe()
    const profileOf = typeof input === "function" ? input : () => input
    const scoreOf = (profile: Profile, view: BackendView, demand: Demand, fleet: FleetView): number => {
      let total = 0
      for (const { scorer, weight } of profile.scorers) total += weight * clamp(scorer.score(view, demand, fleet))
      return total
    }
    const kept = (profile: Profile, view: BackendView, demand: Demand): string | undefined => {
      if (demand.excluded.includes(view.backend.id)) return "already-tried"
      for (const filter of profile.filters) if (!filter.keep(view, demand)) return filter.name
      return undefined
    }
    return Placement.of({
      rank: (demand, fleet) => {
        const profile = profileOf(demand)
        const owners = fleet.owners(demand.model)
        const candidates: Array<Candidate> = []
        for (const view of owners) {
          if (kept(profile, view, demand) === undefined) {
            candidates.push({ view, score: scoreOf(profile, view, demand, fleet) })
          }
        }
        return candidates.length === 0 ? empty : new Picked(profile, demand, next, candidates)
      },
      explain: (demand, fleet) => {
        const profile = profileOf(demand)
        return fleet.backends.map((view): Explanation => {
          const scores = Object.fromEntries(
            profile.scorers.map(({ scorer }) => [scorer.name, clamp(scorer.score(view, demand, fleet))]),
          )
          return {
            backend: view.backend.id,
            droppedBy: view.owns(demand.model) ? kept(profile, view, demand) : "has-model",
            scores,
            total: scoreOf(profile, view, demand, fleet),
          }
        })
      },
    })
  })

/**
 * Placement by a profile: its filters, its weighted scorers, its picker. A function chooses one for each request, synchronously and from what is made beforehand.
 *
 * **Details**
 *
 * Only backends that have the model on disk are ever considered, and none that an earlier attempt of the same request failed on.
 * Randomness for pickers comes from Effect's `Random`, so a seeded router repeats itself.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (profile: ProfileInput): Layer.Layer<Placement> => Layer.effect(Placement, make(profile))

/** The picked order as plain ids: for tests and for people. @category accessors @since 0.1.0 */
export const order = (ranking: Ranking): ReadonlyArray<string> => Array.from(ranking, ({ view }) => view.backend.id)
