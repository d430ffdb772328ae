/**
 * Publishes the changes of health, breakers and residency as router events.
 *
 * @since 0.1.0
 */
import { Clock, Effect, Layer } from "effect"
import { BackendHealth } from "../../services/BackendHealth.ts"
import { Breaker } from "../../services/Breaker.ts"
import { Residency } from "../../services/Residency.ts"
import { RouterEvents } from "../../services/RouterEvents.ts"

/**
 * Publishes an event for each change of health, transition of a breaker, end of a load, and spill into system memory.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<never, never, BackendHealth | Breaker | Residency | RouterEvents> = Layer.effectDiscard(
  Effect.gen(function* () {
    const events = yield* RouterEvents
    const clock = yield* Clock.Clock
    const residency = yield* Residency
    const now = () => clock.currentTimeMillisUnsafe()
    const stops = [
      (yield* BackendHealth).onChange((change) => events.publish({ _tag: "HealthChanged", at: now(), change })),
      (yield* Breaker).onTransition((transition) => events.publish({ _tag: "BreakerMoved", at: now(), transition })),
      residency.onChange((load) => {
        if (load !== undefined) events.publish({ _tag: "LoadEnded", at: now(), load })
      }),
      residency.onSpill((spill) => events.publish({ _tag: "ModelSpilled", at: now(), spill })),
    ]
    yield* Effect.addFinalizer(() => Effect.sync(() => stops.forEach((stop) => stop())))
  }),
)
