/**
 * Ranks candidates with one profile of plugins.
 *
 * @since 0.1.0
 */
import { Clock, Effect, Layer, Random } from "effect"
import type { BackendView, FleetView } from "../../services/FleetView.ts"
import { type Explanation, Placement, type Ranking } from "../../services/Placement.ts"
import type { Candidate, Profile } from "../../services/Plugin.ts"
import type { Demand } from "../../services/RoutedRequest.ts"
import { Picked } from "./picked.ts"
import { PluginMeter } from "./pluginMeter.ts"

const empty: Ranking = { size: 0, [Symbol.iterator]: () => [][Symbol.iterator]() }

/** Limits a score to [0, 1], and NaN to 0, so that one scorer cannot outweigh the others. */
const clamp = (score: number): number => score >= 1 ? 1 : score > 0 ? score : 0

/**
 * One profile for every request, or a function that chooses one by the request: its tenant, model or kind.
 *
 * @category models
 * @since 0.1.0
 */
export type ProfileInput = Profile | ((demand: Demand) => Profile)

const make = (input: ProfileInput) =>
  Effect.gen(function* () {
    const random = yield* Random.Random
    const meter = new PluginMeter(yield* Clock.Clock, yield* Effect.context<never>())
    const next = () => random.nextDoubleUnsafe()
    const profileOf = typeof input === "function" ? input : () => input
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
    const ranked = (profile: Profile, demand: Demand, fleet: FleetView): Ranking => {
      const candidates: Array<Candidate> = []
      for (const view of fleet.owners(demand.model)) {
        if (droppedBy(profile, view, demand) === undefined) {
          candidates.push({ view, score: scoreOf(profile, view, demand, fleet) })
        }
      }
      return candidates.length === 0 ? empty : new Picked(profile.picker, demand, next, candidates)
    }
    const explain = (demand: Demand, fleet: FleetView): ReadonlyArray<Explanation> => {
      const profile = profileOf(demand)
      return fleet.backends.map((view): Explanation => {
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
    }
    const rank = (demand: Demand, fleet: FleetView): Ranking => {
      const profile = profileOf(demand)
      if (!meter.isSampled()) return ranked(profile, demand, fleet)
      const timed = meter.timed(profile)
      const ranking = ranked(timed.profile, demand, fleet)
      timed.end()
      return ranking
    }
    return Placement.of({
      rank: (demand, fleet) => fleet.still === undefined ? rank(demand, fleet) : fleet.still(() => rank(demand, fleet)),
      explain: (demand, fleet) =>
        fleet.still === undefined ? explain(demand, fleet) : fleet.still(() => explain(demand, fleet)),
    })
  })

/**
 * Placement by a profile: its filters, its weighted scorers and its picker. A function has to choose the profile
 * synchronously, from profiles that were made beforehand.
 *
 * **Details**
 *
 * Considered are only backends that have the model on disk and on which no earlier attempt of the request has failed.
 * The random numbers of pickers come from Effect's `Random`, so a router with a seed repeats its decisions.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (profile: ProfileInput): Layer.Layer<Placement> => Layer.effect(Placement, make(profile))

/** The ids of the ranked backends in order: for tests and logs. @category accessors @since 0.1.0 */
export const order = (ranking: Ranking): ReadonlyArray<string> => Array.from(ranking, ({ view }) => view.backend.id)
