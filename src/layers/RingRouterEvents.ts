/**
 * Events in a ring in memory, drained to listeners off the path of requests.
 *
 * @since 0.1.0
 */
import { Effect, Latch, Layer } from "effect"
import { type RouterEvent, RouterEvents } from "../services/RouterEvents.ts"

const make = Effect.fnUntraced(function*(capacity: number) {
  const ring = new Array<RouterEvent | undefined>(capacity).fill(undefined)
  let written = 0
  let read = 0
  let lost = 0
  const listeners = new Set<(event: RouterEvent) => void>()
  const pending = yield* Latch.make(false)

  const drain = (): void => {
    // A slow listener may have been overtaken: what was overwritten is counted, not invented.
    if (written - read > capacity) {
      lost += written - read - capacity
      read = written - capacity
    }
    const end = written
    for (; read < end; read++) {
      const event = ring[read % capacity]!
      for (const listener of listeners) listener(event)
    }
    if (read === written) pending.closeUnsafe()
  }
  // One wake-up drains a burst: requests that settle together cost one step of this fiber, not one each.
  yield* Effect.forkScoped(Effect.forever(Effect.andThen(pending.await, Effect.andThen(Effect.yieldNow, Effect.sync(drain)))))

  return RouterEvents.of({
    publish: (event) => {
      ring[written % capacity] = event
      written++
      if (written === read + 1 && listeners.size > 0) pending.openUnsafe()
    },
    recent: (limit) => {
      const found: Array<RouterEvent> = []
      for (let i = written - 1; i >= 0 && i >= written - capacity && found.length < limit; i--) {
        found.push(ring[i % capacity]!)
      }
      return found
    },
    lost: () => lost,
    subscribe: (listener) =>
      Effect.acquireRelease(
        Effect.sync(() => {
          listeners.add(listener)
          if (listeners.size === 1) read = written
        }),
        () =>
          Effect.sync(() => {
            drain()
            listeners.delete(listener)
          })
      )
  })
})

/**
 * A ring of the last `capacity` events.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options?: {
  /** Defaults to `1024`. */
  readonly capacity?: number | undefined
}): Layer.Layer<RouterEvents> => {
  const capacity = options?.capacity ?? 1024
  if (!Number.isInteger(capacity) || capacity < 1) {
    throw new RangeError(`RingRouterEvents.layer: capacity must be a whole number of at least 1, got ${capacity}`)
  }
  return Layer.effect(RouterEvents, make(capacity))
}
