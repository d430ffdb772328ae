/**
 * Events that are kept for ever and go to the listeners at once: for tests.
 *
 * @since 0.1.0
 */
import { Effect, Layer } from "effect"
import { type RouterEvent, RouterEvents } from "../../services/RouterEvents.ts"
import * as Listeners from "../../support/listeners.ts"

/** @category layers @since 0.1.0 */
export const layer: Layer.Layer<RouterEvents> = Layer.effect(
  RouterEvents,
  Effect.map(Listeners.logged<RouterEvent>("router events"), (listeners) => {
    const events: Array<RouterEvent> = []
    return RouterEvents.of({
      publish: (event) => {
        events.push(event)
        listeners.notify(event)
      },
      recent: (limit) => events.slice(-limit).reverse(),
      flush: () => {},
      lost: () => 0,
      subscribe: (listener) =>
        Effect.asVoid(Effect.acquireRelease(
          Effect.sync(() => listeners.add(listener)),
          (remove) => Effect.sync(remove),
        )),
    })
  }),
)
