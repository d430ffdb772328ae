/**
 * Events that listeners get in the background, and a short history of them in a ring.
 *
 * @since 0.1.0
 */
import { Clock, Effect, Latch, Layer } from "effect"
import { type RouterEvent, RouterEvents } from "../../services/RouterEvents.ts"
import * as Listeners from "../../support/listeners.ts"
import { EventRing } from "./eventRing.ts"

/** @category models @since 0.1.0 */
export interface Options {
  /** Events kept for `recent`, and the most that may wait for the listeners. Defaults to `4096`. */
  readonly capacity?: number | undefined
  /** Events a second that go into the history; the listeners get all of them. Defaults to `100`. */
  readonly historyPerSecond?: number | undefined
}

const make = Effect.fnUntraced(function* (capacity: number, historyPerSecond: number) {
  const history = new EventRing(capacity, historyPerSecond, yield* Clock.Clock)
  let waiting: Array<RouterEvent> = []
  let lost = 0
  let errors: Array<unknown> = []
  const listeners = Listeners.make<RouterEvent>((failed) => void errors.push(...failed))
  const pending = yield* Latch.make(false)

  const drain = (): void => {
    const events = waiting
    waiting = []
    for (const event of events) {
      try {
        history.add(event)
      } catch (error) {
        errors.push(error)
      }
      listeners.notify(event)
    }
    if (waiting.length === 0) pending.closeUnsafe()
  }
  // One run drains all events that wait: requests that settle together cost one step of this fiber, not one each.
  const drained = Effect.suspend(() => {
    drain()
    if (errors.length === 0) return Effect.void
    const failed = errors
    errors = []
    return Effect.logError("listeners of router events failed", ...failed)
  })
  const loop = Effect.andThen(pending.await, Effect.andThen(Effect.yieldNow, drained))
  yield* Effect.forkScoped(Effect.forever(loop))

  return RouterEvents.of({
    publish: (event) => {
      if (waiting.length >= capacity) lost++
      else waiting.push(event)
      if (waiting.length === 1) pending.openUnsafe()
    },
    flush: drain,
    recent: (limit) => {
      if (waiting.length > 0) drain()
      return history.recent(limit)
    },
    lost: () => lost,
    subscribe: (listener) =>
      Effect.asVoid(Effect.acquireRelease(
        Effect.sync(() => {
          // A listener does not get the events that were published before it was added.
          drain()
          return listeners.add(listener)
        }),
        (remove) =>
          Effect.sync(() => {
            drain()
            remove()
          }),
      )),
  })
})

/**
 * A ring of the last events, and listeners that are called in the background.
 *
 * **Details**
 *
 * Not a `PubSub`: its subscribers take each event in a step of a fiber, and `flush` has to call the listeners before it
 * returns. A listener that throws is logged. It gets the next event, and so do the other listeners.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options?: Options): Layer.Layer<RouterEvents> => {
  const capacity = options?.capacity ?? 4096
  const historyPerSecond = options?.historyPerSecond ?? 100
  for (const [field, value] of Object.entries({ capacity, historyPerSecond })) {
    if (!Number.isInteger(value) || value < 1) {
      throw new RangeError(`RingRouterEvents.layer: ${field} must be a whole number of at least 1, got ${value}`)
    }
  }
  return Layer.effect(RouterEvents, make(capacity, historyPerSecond))
}
