/**
 * Events drained to listeners off the path of requests, and a short history of them in a ring.
 *
 * @since 0.1.0
 */
import { Clock, Effect, Latch, Layer } from "effect"
import { type RouterEvent, RouterEvents } from "../../services/RouterEvents.ts"

/** @category models @since 0.1.0 */
export interface Options {
  /** Events kept for `recent`, and the most that may wait for the listeners. Defaults to `4096`. */
  readonly capacity?: number | undefined
  /** Events a second that go into the history; the listeners hear all of them. Defaults to `100`. */
  readonly historyPerSecond?: number | undefined
}

/**
 * What the history keeps is a copy. If the records that the path allocates lived on in a ring, V8 would soon allocate them in its old space to begin with,
 * and fill it with garbage at 10 MB/s under load: measured, a full collection every two seconds and a p99 three times as long.
 */
const copied = (event: RouterEvent): RouterEvent => {
  if (event._tag !== "RequestSettled") return { ...event }
  const { outcome, refusal, ...settled } = event.settled
  return {
    ...event,
    settled: { ...settled, outcome: outcome && { ...outcome }, refusal: refusal && { ...refusal } },
  }
}

const make = Effect.fnUntraced(function* (capacity: number, historyPerSecond: number) {
  const clock = yield* Clock.Clock
  const history: Array<RouterEvent> = []
  let next = 0
  let second = -1
  let thisSecond = 0
  let waiting: Array<RouterEvent> = []
  let lost = 0
  let broken: Array<unknown> = []
  const listeners = new Set<(event: RouterEvent) => void>()
  const pending = yield* Latch.make(false)

  const remember = (event: RouterEvent): void => {
    const now = Math.floor(clock.currentTimeMillisUnsafe() / 1000)
    if (now !== second) {
      second = now
      thisSecond = 0
    }
    if (thisSecond++ >= historyPerSecond) return
    history[next] = copied(event)
    next = (next + 1) % capacity
  }

  /** A listener that throws keeps nothing from the others, nor itself from the next event. */
  const tell = (listener: (event: RouterEvent) => void, event: RouterEvent): void => {
    try {
      listener(event)
    } catch (error) {
      broken.push(error)
    }
  }

  const drain = (): void => {
    const events = waiting
    waiting = []
    for (const event of events) {
      remember(event)
      for (const listener of listeners) tell(listener, event)
    }
    if (waiting.length === 0) pending.closeUnsafe()
  }
  // One wake-up drains a burst: requests that settle together cost one step of this fiber, not one each.
  const told = Effect.suspend(() => {
    drain()
    if (broken.length === 0) return Effect.void
    const errors = broken
    broken = []
    return Effect.logError("listeners of router events failed", ...errors)
  })
  const loop = Effect.andThen(pending.await, Effect.andThen(Effect.yieldNow, told))
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
      const found: Array<RouterEvent> = []
      for (let i = 1; i <= history.length && found.length < limit; i++) {
        found.push(history[(next - i + history.length) % history.length]!)
      }
      return found
    },
    lost: () => lost,
    subscribe: (listener) =>
      Effect.acquireRelease(
        Effect.sync(() => {
          // Not what was published before it came.
          drain()
          listeners.add(listener)
        }),
        () =>
          Effect.sync(() => {
            drain()
            listeners.delete(listener)
          }),
      ),
  })
})

/**
 * A ring of the last events.
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
