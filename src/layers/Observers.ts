/**
 * Runs a deployer's observers, so that none of them can slow a request down or break another.
 *
 * @since 0.1.0
 */
import { Effect, Layer, Queue } from "effect"
import type { Observer } from "../services/Plugin.ts"
import { type RouterEvent, RouterEvents } from "../services/RouterEvents.ts"

/** Events kept for an observer that falls behind; the oldest go first. */
const backlog = 1024

const start = <R>(observer: Observer<R>) =>
  Effect.gen(function*() {
    const { subscribe } = yield* RouterEvents
    const events = yield* Queue.sliding<RouterEvent>(backlog)
    yield* subscribe((event) => Queue.offerUnsafe(events, event))
    const observe = (event: RouterEvent) =>
      Effect.suspend(() => observer.observe(event) ?? Effect.void).pipe(
        Effect.catchCause((cause) => Effect.logWarning(`observer ${observer.name} failed`, cause))
      )
    yield* Effect.forkScoped(Effect.forever(Effect.flatMap(Queue.take(events), observe)))
  })

/**
 * Each observer hears every event in order, in a fiber of its own. One that throws or fails is logged and hears the next event all the same.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = <R = never>(observers: ReadonlyArray<Observer<R>>): Layer.Layer<never, never, RouterEvents | R> =>
  Layer.effectDiscard(Effect.forEach(observers, start, { discard: true }))
