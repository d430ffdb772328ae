/**
 * Ranks candidates with one profile of plugins.
 *
 * @since 0.1.0
 */
import { Clock, Effect, Layer, Random } from "effect"
import type { FleetView } from "../../services/FleetView.ts"
import { Placement, type Ranking } from "../../services/Placement.ts"
import type { Profile } from "../../services/Plugin.ts"
import type { Demand } from "../../services/RoutedRequest.ts"
import { PluginMeter } from "./pluginMeter.ts"
import * as Rankings from "./ranking.ts"

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
    const rank = (demand: Demand, fleet: FleetView): Ranking => {
      const profile = profileOf(demand)
      if (!meter.isSampled()) return Rankings.rank(profile, demand, fleet, next)
      const timed = meter.timed(profile)
      const ranking = Rankings.rank(timed.profile, demand, fleet, next)
      timed.end()
      return ranking
    }
    const explain = (demand: Demand, fleet: FleetView) => Rankings.explain(profileOf(demand), demand, fleet)
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
