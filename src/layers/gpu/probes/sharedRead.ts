/**
 * One read at a time, and a limit on how long a caller waits for it.
 *
 * Not `Effect.cached`: that runs in the fiber of its first caller, and would end with it.
 *
 * @since 0.1.0
 */
import { Deferred, Duration, Effect, Scope } from "effect"
import { GpuProbeError, Timeout } from "../../../services/GpuProbe.ts"

/**
 * Callers that come while `read` runs share its result. Each waits at most `deadline` and then fails with a `Timeout`.
 * The read itself goes on, because a thread that hangs in a driver cannot be cancelled; a second one is not started
 * beside it.
 *
 * @category combinators
 * @since 0.1.0
 */
export const make = Effect.fnUntraced(function* <A>(
  source: string,
  deadline: Duration.Duration | (() => Duration.Duration),
  read: Effect.Effect<A, GpuProbeError>,
): Effect.fn.Return<Effect.Effect<A, GpuProbeError>, never, Scope.Scope> {
  const scope = yield* Effect.scope
  let running: Deferred.Deferred<A, GpuProbeError> | undefined

  const join = Effect.suspend(() => {
    if (running !== undefined) return Deferred.await(running)
    const mine = Deferred.makeUnsafe<A, GpuProbeError>()
    running = mine
    const run = Effect.onExit(read, (exit) => {
      running = undefined
      return Deferred.done(mine, exit)
    })
    return Effect.andThen(Effect.forkIn(run, scope, { startImmediately: true }), Deferred.await(mine))
  })
  return Effect.suspend(() => {
    const duration = typeof deadline === "function" ? deadline() : deadline
    const orElse = () => Effect.fail(new GpuProbeError({ source, reason: timeout(duration) }))
    return Effect.timeoutOrElse(join, { duration, orElse })
  })
})

/** @category errors @since 0.1.0 */
export const timeout = (deadline: Duration.Duration): Timeout =>
  new Timeout({ description: `no answer within ${Duration.format(deadline)}` })
