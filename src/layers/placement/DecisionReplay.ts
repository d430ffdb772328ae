/**
 * Asks another profile about a recorded decision: where would the request have gone?
 *
 * @since 0.1.0
 */
import type { Decision } from "../../services/Decisions.ts"
import type { BackendView, FleetView } from "../../services/FleetView.ts"
import { leaseRefusal, type Placed, type PlacedCandidate } from "../../services/Placed.ts"
import type { Explanation } from "../../services/Placement.ts"
import type { Profile } from "../../services/Plugin.ts"
import type { Demand } from "../../services/RoutedRequest.ts"
import * as Rankings from "./ranking.ts"

/** What another profile says of one recorded placement. @category models @since 0.1.0 */
export interface Replayed {
  /** The attempt, from 1. */
  readonly attempt: number
  /** The backend that was taken; `undefined` where none was. */
  readonly took: string | undefined
  /** The backends in the order in which the profile would try them. */
  readonly order: ReadonlyArray<string>
  /** The first of them that could give a lease, as far as the record tells; `undefined` where none could. */
  readonly would: string | undefined
  /** Why each recorded candidate is one or is not, by the other profile. */
  readonly reasons: ReadonlyArray<Explanation>
}

/** The live view of a backend as it was. Of the model of the request: nothing is recorded of other models. */
const viewOf = (one: PlacedCandidate): BackendView => ({
  backend: one.backend,
  member: one.member,
  health: one.health,
  version: one.version,
  streams: one.streams,
  streamsOf: () => one.streamsOfModel,
  limitOf: () => one.limitOfModel,
  serviceMillisOf: () => one.serviceMillis,
  residency: () => one.residency,
  breaker: () => one.breaker,
  owns: () => true,
  loadMillis: () => one.loadMillis,
  memory: () => one.memory,
  firstByteMillis: one.firstByteMillis,
  lastLeaseAt: one.lastLeaseAt,
})

const fleetOf = (views: ReadonlyArray<BackendView>): FleetView => ({
  backends: views,
  owners: () => views,
  find: (id) => views.find(({ backend }) => backend.id === id),
})

const canServe = (placed: Placed, demand: Demand, id: string): boolean => {
  const candidate = placed.candidates.find(({ backend }) => backend.id === id)
  return candidate !== undefined && leaseRefusal(candidate, demand) === undefined
}

/**
 * What another profile would have done with each recorded placement of a decision, in order. Empty where none was
 * recorded.
 *
 * **Details**
 *
 * The profile sees the candidates as they were, so the answer is the one that it would have given then. `random` gives
 * the numbers in [0, 1) that pickers draw; it defaults to 0.5 each time, so that the answer is always the same.
 *
 * **Gotchas**
 *
 * Plugins that keep a state of their own, such as `PeakEwma`, answer from the state that they have now. At most 16
 * candidates are recorded: in a larger fleet, the profile cannot choose the others.
 *
 * @category combinators
 * @since 0.1.0
 */
export const replay = (
  decision: Decision,
  profile: Profile,
  random: () => number = () => 0.5,
): ReadonlyArray<Replayed> =>
  decision.steps.filter((step) => step._tag === "Placed").map((placed): Replayed => {
    const { attempt, candidates, demand, took } = placed
    const fleet = fleetOf(candidates.map(viewOf))
    const order = Array.from(Rankings.rank(profile, demand, fleet, random), ({ view }) => view.backend.id)
    return {
      attempt,
      took,
      order,
      would: order.find((id) => canServe(placed, demand, id)),
      reasons: Rankings.explain(profile, demand, fleet),
    }
  })
