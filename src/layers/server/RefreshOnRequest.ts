/**
 * Reads the fleet when requests come, for hosts on which nothing runs between them.
 *
 * @since 0.1.0
 */
import { Clock, Deferred, Duration, Effect, FiberSet, Layer } from "effect"
import { BackendHealth } from "../../services/BackendHealth.ts"
import { Fleet } from "../../services/Fleet.ts"
import { ModelCatalog } from "../../services/ModelCatalog.ts"
import { Residency } from "../../services/Residency.ts"
import { ViewRefresh } from "../../services/ViewRefresh.ts"

/** @category models @since 0.1.0 */
export interface Options {
  /** A view that is younger is used as it is. Defaults to 5 seconds. */
  readonly timeToLive?: Duration.Input | undefined
  /** A view that is older is waited for; between the two it is used once more and read again beside the request. Defaults to 1 minute. */
  readonly staleMax?: Duration.Input | undefined
  /** Longest time that a request waits. Defaults to 5 seconds. */
  readonly timeout?: Duration.Input | undefined
}

const millisOf = (input: Duration.Input): number => Duration.toMillis(Duration.fromInputUnsafe(input))

const make = Effect.fnUntraced(function* (options: Options | undefined) {
  const freshMillis = millisOf(options?.timeToLive ?? "5 seconds")
  const staleMillis = millisOf(options?.staleMax ?? "1 minute")
  const timeout = Duration.fromInputUnsafe(options?.timeout ?? "5 seconds")
  const fleet = yield* Fleet
  const health = yield* BackendHealth
  const catalog = yield* ModelCatalog
  const residency = yield* Residency
  const clock = yield* Clock.Clock
  const run = yield* FiberSet.makeRuntime()
  /** When the last reading began that is over, well or not: each part keeps what it knew where a backend does not answer. */
  let readAt = -Infinity
  let flight: Deferred.Deferred<void> | undefined
  let failing = false

  /** A reading that found nobody keeps what is known; that is said when it begins and when it is over, not for every request. */
  const told = Effect.suspend(() => {
    const members = fleet.members()
    const fails = members.length > 0 && members.every(({ backend }) => health.status(backend.id).state !== "healthy")
    if (fails === failing) return Effect.void
    failing = fails
    return fails
      ? Effect.logWarning("no backend answers; requests go by what was known of the fleet before")
      : Effect.logInfo("backends answer again")
  })

  // Health first: the others leave out who is known to be dead.
  const read = Effect.andThen(
    health.check,
    Effect.all([catalog.refresh, residency.refresh], { concurrency: "unbounded", discard: true }),
  ).pipe(
    Effect.timeoutOption(timeout),
    Effect.andThen(told),
    Effect.catchDefect((defect) => Effect.logError("the fleet could not be read", defect)),
  )

  /** One reading for all requests that come meanwhile, in this layer's scope: a client that leaves does not end it for the others. */
  const start = (now: number): Deferred.Deferred<void> => {
    const end = Deferred.makeUnsafe<void>()
    flight = end
    run(Effect.onExit(read, () =>
      Effect.sync(() => {
        flight = undefined
        readAt = now
        Deferred.doneUnsafe(end, Effect.void)
      })))
    return end
  }

  return {
    stale: (): Effect.Effect<void> | undefined => {
      const now = clock.currentTimeMillisUnsafe()
      const age = now - readAt
      if (age < freshMillis) return undefined
      const reading = flight ?? start(now)
      return age < staleMillis ? undefined : Deferred.await(reading)
    },
  }
})

/**
 * Provides `ViewRefresh`: the first request reads health, models and what is in memory of all backends and waits for it, later ones when what is known is too old.
 * Where no backend answers, what was known stays, and the log says so.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (
  options?: Options,
): Layer.Layer<never, never, Fleet | BackendHealth | ModelCatalog | Residency> =>
  Layer.effect(ViewRefresh, make(options))
