/**
 * Health from probes on a schedule and from the outcomes of attempts.
 *
 * @since 0.1.0
 */
import { Clock, Duration, Effect, FiberMap, FiberSet, Layer, Result } from "effect"
import { BackendHealth, type HealthChange } from "../../services/BackendHealth.ts"
import { type Backend, Fleet } from "../../services/Fleet.ts"
import { OllamaApi, type OllamaApiError, Unreachable } from "../../services/OllamaApi.ts"
import { Transport } from "../../services/Transport.ts"
import { watch } from "../../support/every.ts"
import * as Listeners from "../../support/listeners.ts"
import { memberOf } from "../../support/memberOf.ts"
import { perBackend } from "../../support/perBackend.ts"
import { notProbed, WatchedBackend } from "./watchedBackend.ts"

/**
 * How backends are watched.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** Time from the start of one probe of a backend to the start of the next. Defaults to 5 seconds. */
  readonly interval?: Duration.Input | undefined
  /** Time limit of one probe. Defaults to 5 seconds. */
  readonly timeout?: Duration.Input | undefined
  /** Failed probes in a row that make a backend unhealthy. Defaults to `2`. */
  readonly failuresMax?: number | undefined
}

const logOf = ({ backend, from, status: { reason, state } }: HealthChange): Effect.Effect<void> =>
  Effect.annotateLogs(
    state === "healthy" ? Effect.logInfo("backend is healthy") : Effect.logWarning(`backend is ${state}`),
    { backend, from, ...(reason === "" ? {} : { reason }) },
  )

/** Whether a busy backend can be the cause. One that refuses connections, or answers with an error, says so itself. */
const maybeBusy = (reason: OllamaApiError["reason"]): boolean =>
  reason._tag === "Unreachable" && reason.refused !== true

const make = Effect.fnUntraced(function* (options: Options | undefined) {
  const interval = Duration.fromInputUnsafe(options?.interval ?? "5 seconds")
  const timeout = Duration.fromInputUnsafe(options?.timeout ?? "5 seconds")
  const fleet = yield* Fleet
  const api = yield* OllamaApi
  const transport = yield* Transport
  const logs = yield* FiberSet.makeRuntime()
  const extraProbes = yield* Effect.flatMap(FiberMap.make<string>(), (map) => FiberMap.runtime(map)())
  const listeners = yield* Listeners.logged<HealthChange>("health changes")
  const watched = new Map<string, WatchedBackend>()
  const watchedOptions = {
    failuresMax: options?.failuresMax ?? 2,
    clock: yield* Clock.Clock,
    changed: (change: HealthChange): void => {
      listeners.notify(change)
      logs(logOf(change))
    },
  }

  const probe = Effect.fnUntraced(function* (backend: Backend) {
    const entry = watched.get(backend.id)
    if (entry === undefined) return
    const { refusals } = entry
    const received = transport.received?.(backend) ?? 0
    const result = yield* api.version(backend).pipe(
      Effect.mapError(({ reason }) => reason),
      Effect.timeoutOrElse({
        duration: timeout,
        orElse: () => Effect.fail(new Unreachable({ description: `no answer within ${Duration.format(timeout)}` })),
      }),
      Effect.result,
    )
    if (watched.get(backend.id) !== entry) return
    if (Result.isSuccess(result)) {
      return entry.refusals === refusals ? entry.probed(Result.succeed(result.success)) : yield* probe(backend)
    }
    const alive = (transport.received?.(backend) ?? 0) > received
    if (alive && maybeBusy(result.failure)) return entry.busy()
    entry.probed(Result.fail(result.failure.description))
  }) as (backend: Backend) => Effect.Effect<void>

  yield* perBackend(
    fleet,
    ({ id }, latest) => {
      watched.set(id, new WatchedBackend(id, watchedOptions))
      return watch(interval, Effect.suspend(() => probe(latest())))
    },
    (id) => watched.delete(id),
  )

  /** At most one such probe of a backend runs at a time, however many attempts failed. */
  const probeNow = (id: string): void => {
    const member = memberOf(fleet.members(), id)
    if (member === undefined) return
    extraProbes(id, Effect.andThen(Effect.yieldNow, probe(member.backend)), { onlyIfMissing: true })
  }

  return BackendHealth.of({
    status: (id) => watched.get(id)?.status ?? notProbed,
    record: (id, outcome) => {
      if (watched.get(id)?.attempted(outcome) === true) probeNow(id)
    },
    check: Effect.suspend(() =>
      Effect.forEach(fleet.members(), ({ backend }) => probe(backend), { concurrency: "unbounded", discard: true })
    ),
    onChange: listeners.add,
  })
})

/**
 * Probes `GET /api/version` of every backend, each on its own schedule.
 *
 * **Details**
 *
 * - `healthy` after one good probe; `unhealthy` after `failuresMax` failed probes in a row.
 * - An attempt whose connection is refused makes a backend `unhealthy` at once. The backend is then probed at once,
 *   because only its queue of connections may have been full. Two other failures to connect in a row cause a probe at
 *   once.
 * - A probe that gets no answer does not count while bytes of answers to clients arrive from the backend: a busy
 *   machine can be slow to accept a probe. A refused connection and an error status do count.
 * - A slow answer to another call changes nothing: `/api/ps` of a healthy server can take 10 seconds.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options?: Options): Layer.Layer<BackendHealth, never, Fleet | OllamaApi | Transport> =>
  Layer.effect(BackendHealth, make(options))
