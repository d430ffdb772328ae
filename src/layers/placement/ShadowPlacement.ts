/**
 * A second placement that is asked about the same requests but decides nothing. It shows where it would have decided
 * differently.
 *
 * @since 0.1.0
 */
import { Clock, Context, Effect, Layer, Random } from "effect"
import type { FleetView } from "../../services/FleetView.ts"
import { Placement, type Ranking } from "../../services/Placement.ts"
import type { Candidate } from "../../services/Plugin.ts"
import type { Demand } from "../../services/RoutedRequest.ts"
import { RouterEvents } from "../../services/RouterEvents.ts"

/** @category models @since 0.1.0 */
export interface Options<E1, R1, E2, R2> {
  /** The placement that decides. */
  readonly live: Layer.Layer<Placement, E1, R1>
  /** The placement that is only asked, such as `ProfilePlacement.layer` of a profile to try. */
  readonly shadow: Layer.Layer<Placement, E2, R2>
  /** Its name in events and metrics. Defaults to `"shadow"`. */
  readonly name?: string | undefined
  /** The share of decisions that it is asked about, from 0 to 1, evenly spread. Defaults to `0.1`. */
  readonly sample?: number | undefined
}

/**
 * The first choice of the shadow, whose backend is `undefined` where it has no candidate; or `failed` where it threw.
 */
type Choice = { readonly backend: string | undefined } | "failed"

class Shadowed implements Ranking {
  readonly live: Ranking
  readonly size: number
  readonly taken: (backend: string) => void
  constructor(live: Ranking, taken: (backend: string) => void) {
    this.live = live
    this.size = live.size
    this.taken = taken
  }
  [Symbol.iterator](): Iterator<Candidate> {
    return this.live[Symbol.iterator]()
  }
}

const make = Effect.fnUntraced(function* <E1, R1, E2, R2>(options: Options<E1, R1, E2, R2>) {
  const { name = "shadow", sample = 0.1 } = options
  if (!(sample >= 0 && sample <= 1)) {
    throw new RangeError(`ShadowPlacement: sample must be from 0 to 1, got ${sample}`)
  }
  const events = yield* RouterEvents
  const clock = yield* Clock.Clock
  const live = Context.get(yield* Layer.build(options.live), Placement)
  // Random numbers of its own. With those of the router, the shadow would change what the live pickers draw.
  const shadow = Context.get(yield* Random.withSeed(Layer.build(options.shadow), name), Placement)
  let due = 0

  const ask = (demand: Demand, fleet: FleetView): Choice => {
    try {
      for (const { view } of shadow.rank(demand, fleet)) return { backend: view.backend.id }
      return { backend: undefined }
    } catch {
      // A defect of the shadow must not change the live decision. It is counted as `failed`.
      return "failed"
    }
  }

  return Placement.of({
    rank: (demand, fleet) => {
      const ranking = live.rank(demand, fleet)
      if ((due += sample) < 1) return ranking
      due -= 1
      // Asked now: the lease will change the view, and both have to see the same one.
      const choice = ask(demand, fleet)
      return new Shadowed(ranking, (took) => {
        ranking.taken?.(took)
        const would = choice === "failed" ? undefined : choice.backend
        events.publish({
          _tag: "Shadowed",
          at: clock.currentTimeMillisUnsafe(),
          id: demand.id,
          model: demand.model.key,
          shadow: name,
          took,
          would,
          result: choice === "failed" ? "failed" : would === took ? "same" : "different",
        })
      })
    },
    explain: (demand, fleet) => live.explain(demand, fleet),
  })
})

/**
 * Asks the shadow about a sample of decisions, at the moment of the decision and over the same view. When the request
 * gets its lease, it publishes a `Shadowed` event: the backend that was taken, and the first choice of the shadow.
 * Metrics count these events by model and result.
 *
 * **Gotchas**
 *
 * The backend that was taken is the first candidate that could give a lease. The first choice of the shadow may have
 * been full. A shadow that throws is counted as `failed`.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = <E1 = never, R1 = never, E2 = never, R2 = never>(
  options: Options<E1, R1, E2, R2>,
): Layer.Layer<Placement, E1 | E2, R1 | R2 | RouterEvents> => Layer.effect(Placement, make(options))
