/**
 * Refreshes the view of the fleet when requests come, for hosts on which nothing runs between requests.
 *
 * @since 0.1.0
 */
import { Clock, Deferred, Duration, Effect, FiberSet, Layer } from "effect"
import { BackendHealth } from "../../services/BackendHealth.ts"
import { Fleet } from "../../services/Fleet.ts"
import { ModelCatalog } from "../../services/ModelCatalog.ts"
import { Residency } from "../../services/Residency.ts"
import { ViewRefresh } from "../../services/ViewRefresh.ts"
import * as Outage from "../../support/outage.ts"

/** @category models @since 0.1.0 */
export interface Options {
  /** Age up to which a view is used without a refresh. Defaults to 5 seconds. */
  readonly timeToLive?: Duration.Input | undefined
  /**
   * Age beyond which a request waits for the refresh. Between `timeToLive` and this, the request uses the old view
   * while the refresh runs. Defaults to 1 minute.
   */
  readonly staleMax?: Duration.Input | undefined
  /** Longest time of a refresh, and so of a request's wait for it. Defaults to 5 seconds. */
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
  /** When the last refresh that has ended began, even if it failed: each service keeps its old view then. */
  let readAt = -Infinity
  let running: Deferred.Deferred<void> | undefined
  let failing = false

  /** Logs when no backend answers, and when one answers again; not for every refresh. */
  const logged = Effect.suspend(() => {
    const members = fleet.members()
    const fails = members.length > 0 && members.every(({ backend }) => health.status(backend.id).state !== "healthy")
    if (fails === failing) return Effect.void
    failing = fails
    return fails
      ? Effect.logWarning("no backend answers; requests go by what was known of the fleet before")
      : Effect.logInfo("backends answer again")
  })

  // Health comes first: the other two skip backends that are down.
  const refresh = Effect.andThen(
    health.check,
    Effect.all([catalog.refresh, residency.refresh], { concurrency: "unbounded", discard: true }),
  ).pipe(
    Effect.timeoutOption(timeout),
    Effect.andThen(logged),
    Outage.contained("the fleet could not be read"),
  )

  /** Starts a refresh, in this layer's scope: a client that leaves must not end it for the other requests. */
  const start = (now: number): Deferred.Deferred<void> => {
    const end = Deferred.makeUnsafe<void>()
    running = end
    run(Effect.onExit(refresh, () =>
      Effect.sync(() => {
        running = undefined
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
      const end = running ?? start(now)
      return age < staleMillis ? undefined : Deferred.await(end)
    },
  }
})

/**
 * Provides `ViewRefresh`. The first request waits until the health, the models and the residency of all backends were
 * read. Later requests start a refresh when the view is too old. When no backend answers, the old view stays, and a
 * warning is logged.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (
  options?: Options,
): Layer.Layer<never, never, Fleet | BackendHealth | ModelCatalog | Residency> =>
  Layer.effect(ViewRefresh, make(options))
