/**
 * Events kept for ever and told at once, for tests.
 *
 * @since 0.1.0
 */
import { Effect, Layer } from "effect"
import { type RouterEvent, RouterEvents } from "../../services/RouterEvents.ts"

/** @category layers @since 0.1.0 */
export const layer: Layer.Layer<RouterEvents> = Layer.effect(
  RouterEvents,
  Effect.sync(() => {
    const events: Array<RouterEvent> = []
    const listeners = new Set<(event: RouterEvent) => void>()
    return RouterEvents.of({
      publish: (event) => {
        events.push(event)
        for (const listener of listeners) listener(event)
      },
      recent: (limit) => events.slice(-limit).reverse(),
      flush: () => {},
      lost: () => 0,
      subscribe: (listener) =>
        Effect.acquireRelease(
          Effect.sync(() => listeners.add(listener)),
          () => Effect.sync(() => listeners.delete(listener)),
        ),
    })
  }),
)
