/**
 * Logs a fault that lasts when it begins and when it is over, and not at every look at it.
 *
 * @since 0.1.0
 */
import { Effect } from "effect"

/** @category models @since 0.1.0 */
export interface Outage {
  /** Whether the last look found a fault. */
  readonly lasts: () => boolean
  /** Runs `log` if the fault is not the one that was logged last. `what` says which fault it is. */
  readonly begins: (what: string, log: Effect.Effect<void>) => Effect.Effect<void>
  /** Runs `log` if a fault was logged before. */
  readonly ends: (log?: Effect.Effect<void>) => Effect.Effect<void>
}

/** @category constructors @since 0.1.0 */
export const make = (): Outage => {
  let logged: string | undefined
  return {
    lasts: () => logged !== undefined,
    begins: (what, log) =>
      Effect.suspend(() => {
        if (what === logged) return Effect.void
        logged = what
        return log
      }),
    ends: (log = Effect.void) =>
      Effect.suspend(() => {
        if (logged === undefined) return Effect.void
        logged = undefined
        return log
      }),
  }
}

/**
 * Runs an effect that is repeated. A defect ends this run only, and the same defect is logged once, until a run ends
 * without one. `message` is the text in the log.
 *
 * @category combinators
 * @since 0.1.0
 */
export const contained = (message: string, outage: Outage = make()) =>
<A, E, R>(
  effect: Effect.Effect<A, E, R>,
): Effect.Effect<A | void, E, R> =>
  Effect.catchDefect(
    Effect.tap(effect, () => outage.ends(Effect.logInfo(`over: ${message}`))),
    (defect) => outage.begins(String(defect), Effect.logError(message, defect)),
  )
