/**
 * Ranks candidates with one profile of plugins.
 *
 * @since 0.1.0
 */
import { Effect, Layer, Random } from "effect"
import { Placement, type Ranking } from "../../services/Placement.ts"
import type { Profile } from "../../services/Plugin.ts"
import type { Demand } from "../../services/RoutedRequest.ts"
import * as Rankings from "./ranking.ts"

/**
 * One profile for every request, or a function that chooses one by the request: its tenant, model or kind.
 *
 * @category models
 * @since 0.1.0
 */
export type ProfileInput = Profile | ((demand: Demand) => Profile)

const make = (input: ProfileInput) =>
  Effect.map(Random.Random, (random) => {
    const next = () => random.nextDoubleUnsafe()
    const profileOf = typeof input === "function" ? input : () => input
    return Placement.of({
      rank: (demand, fleet) => Rankings.rank(profileOf(demand), demand, fleet, next),
      explain: (demand, fleet) => Rankings.explain(profileOf(demand), demand, fleet),
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
