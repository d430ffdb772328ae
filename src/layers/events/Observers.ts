/**
 * Runs the observer plugins. An observer can neither slow a request down nor stop another observer.
 *
 * @since 0.1.0
 */
import { Effect, Latch, Layer } from "effect"
import type { Observer } from "../../services/Plugin.ts"
import { type RouterEvent, RouterEvents } from "../../services/RouterEvents.ts"

/** Events that may wait for a slow observer. It does not get the events that come while so many wait. */
const backlog = 1024

const start = <R>(observer: Observer<R>) =>
  Effect.gen(function* () {
    const routerEvents = yield* RouterEvents
    const pending = yield* Latch.make(false)
    // An array that is handed over as a whole, not a linked queue: old links would keep V8 from freeing later events,
    // as in `support/bag.ts`.
    let batch: Array<RouterEvent> = []
    yield* routerEvents.subscribe((event) => {
      if (observer.isOff?.() === true) return
      if (batch.length < backlog) batch.push(event)
      if (batch.length === 1) pending.openUnsafe()
    })
    const take = Effect.sync(() => {
      const taken = batch
      batch = []
      pending.closeUnsafe()
      return taken
    })
    const show = (events: ReadonlyArray<RouterEvent>, from: number): Effect.Effect<void, never, R> => {
      let next = from
      const shown = Effect.suspend((): Effect.Effect<void, never, R> => {
        while (next < events.length) {
          const later = observer.observe(events[next++]!)
          if (later !== undefined) return Effect.flatMap(later, () => show(events, next))
        }
        return Effect.void
      })
      return Effect.catchCause(shown, (cause) =>
        Effect.andThen(
          Effect.logWarning(`observer ${observer.name} failed`, cause),
          Effect.suspend(() => show(events, next)),
        ))
    }
    yield* Effect.forkScoped(
      Effect.forever(Effect.andThen(pending.await, Effect.flatMap(take, (events) => show(events, 0)))),
    )
  })

/**
 * Each observer gets every event in order, in a fiber of its own. An observer that throws or fails is logged, and
 * gets the next event.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = <R = never>(observers: ReadonlyArray<Observer<R>>): Layer.Layer<never, never, RouterEvents | R> =>
  Layer.effectDiscard(Effect.forEach(observers, start, { discard: true }))
