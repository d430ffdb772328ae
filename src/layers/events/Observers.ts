/**
 * Runs a deployer's observers, so that none of them can slow a request down or break another.
 *
 * @since 0.1.0
 */
import { Effect, Latch, Layer } from "effect"
import type { Observer } from "../../services/Plugin.ts"
import { type RouterEvent, RouterEvents } from "../../services/RouterEvents.ts"

/** Events kept for an observer that falls behind; later ones are not shown to it. */
const backlog = 1024

const start = <R>(observer: Observer<R>) =>
  Effect.gen(function* () {
    const { subscribe } = yield* RouterEvents
    const pending = yield* Latch.make(false)
    // Whole arrays change hands: a linked queue's promoted links keep V8 from freeing what came after (see `edge/bag.ts`).
    let batch: Array<RouterEvent> = []
    yield* subscribe((event) => {
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
 * Each observer hears every event in order, in a fiber of its own. One that throws or fails is logged and hears the next event all the same.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = <R = never>(observers: ReadonlyArray<Observer<R>>): Layer.Layer<never, never, RouterEvents | R> =>
  Layer.effectDiscard(Effect.forEach(observers, start, { discard: true }))
