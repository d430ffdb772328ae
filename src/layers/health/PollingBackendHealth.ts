/**
 * Health from probes on a schedule and from the outcomes of attempts.
 *
 * @since 0.1.0
 */
import { Clock, Duration, Effect, FiberMap, FiberSet, Layer, Result } from "effect"
import { BackendHealth, type BackendStatus, type HealthChange, type HealthState } from "../../services/BackendHealth.ts"
import { type Backend, Fleet } from "../../services/Fleet.ts"
import { OllamaApi } from "../../services/OllamaApi.ts"
import { isConnectFailure, type Outcome } from "../../services/Outcome.ts"
import { watch } from "../../support/every.ts"
import * as Listeners from "../../support/listeners.ts"
import { perBackend } from "../../support/perBackend.ts"

/**
 * How backends are watched.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** Between the starts of two probes of one backend. Defaults to 5 seconds. */
  readonly interval?: Duration.Input | undefined
  /** For one probe. Defaults to 5 seconds. */
  readonly timeout?: Duration.Input | undefined
  /** Probes that fail one after the other before a backend is unhealthy. Defaults to `2`. */
  readonly failuresMax?: number | undefined
}

interface Watched {
  status: BackendStatus
  failedProbes: number
  /** Connect failures of attempts, one after the other. */
  connectFailures: number
  /** Rises with every refused connection: a probe that began before one says nothing about after it. */
  refusals: number
}

const unheard: BackendStatus = { state: "unknown", reason: "not probed yet", since: 0, version: undefined }

const make = Effect.fnUntraced(function* (options: Options | undefined) {
  const interval = Duration.fromInputUnsafe(options?.interval ?? "5 seconds")
  const timeout = Duration.fromInputUnsafe(options?.timeout ?? "5 seconds")
  const failuresMax = options?.failuresMax ?? 2
  const fleet = yield* Fleet
  const api = yield* OllamaApi
  const clock = yield* Clock.Clock
  const logs = yield* FiberSet.makeRuntime()
  const kicks = yield* Effect.flatMap(FiberMap.make<string>(), (map) => FiberMap.runtime(map)())
  const listeners = Listeners.make<HealthChange>()
  const watched = new Map<string, Watched>()

  const enter = (id: string, entry: Watched, state: HealthState, reason: string, version?: string): void => {
    const before = entry.status
    const known = version ?? before.version
    if (before.state === state && before.reason === reason && before.version === known) return
    const since = before.state === state ? before.since : clock.currentTimeMillisUnsafe()
    entry.status = { state, reason, since, version: known }
    if (before.state === state) return
    listeners.notify({ backend: id, from: before.state, status: entry.status })
    const message = state === "healthy"
      ? Effect.logInfo("backend is healthy")
      : Effect.logWarning(`backend is ${state}`)
    logs(Effect.annotateLogs(message, { backend: id, from: before.state, ...(reason === "" ? {} : { reason }) }))
  }

  const applyProbe = (id: string, entry: Watched, result: Result.Result<string, string>): void => {
    if (Result.isSuccess(result)) {
      entry.failedProbes = 0
      entry.connectFailures = 0
      enter(id, entry, "healthy", "", result.success)
      return
    }
    entry.failedProbes++
    if (entry.failedProbes >= failuresMax) enter(id, entry, "unhealthy", result.failure)
  }

  const probe = Effect.fnUntraced(function* (backend: Backend) {
    const entry = watched.get(backend.id)
    if (entry === undefined) return
    const { refusals } = entry
    const result = yield* api.version(backend).pipe(
      Effect.mapError((error) => error.reason.description),
      Effect.timeoutOrElse({
        duration: timeout,
        orElse: () => Effect.fail(`no answer within ${Duration.format(timeout)}`),
      }),
      Effect.result,
    )
    if (watched.get(backend.id) !== entry) return
    if (Result.isSuccess(result) && entry.refusals !== refusals) return yield* probe(backend)
    applyProbe(backend.id, entry, result)
  }) as (backend: Backend) => Effect.Effect<void>

  yield* perBackend(
    fleet,
    (backend) => {
      watched.set(backend.id, { status: unheard, failedProbes: 0, connectFailures: 0, refusals: 0 })
      return watch(interval, probe(backend))
    },
    (id) => watched.delete(id),
  )

  /** At most one such probe of a backend at a time, whatever number of attempts failed. */
  const kick = (id: string): void => {
    const member = fleet.members().find(({ backend }) => backend.id === id)
    if (member === undefined) return
    kicks(id, Effect.andThen(Effect.yieldNow, probe(member.backend)), { onlyIfMissing: true })
  }

  const record = (id: string, outcome: Outcome): void => {
    if (outcome.kind !== "success" && outcome.kind !== "failure") return
    const entry = watched.get(id)
    if (entry === undefined) return
    if (!isConnectFailure(outcome)) {
      entry.connectFailures = 0
      // An answer is as good as a probe, except where a refusal came in the meantime: then the next probe has to say.
      if (outcome.kind === "success" && entry.status.state === "unknown") enter(id, entry, "healthy", "")
      return
    }
    entry.connectFailures++
    if (outcome.cause === "refused") {
      entry.refusals++
      // Later refusals of the same moment change nothing: the probe that the first one caused starts again when it finds more of them.
      const first = entry.status.state !== "unhealthy"
      enter(id, entry, "unhealthy", "connection refused")
      if (first) kick(id)
    } else if (entry.connectFailures >= 2 && entry.status.state !== "unhealthy") {
      kick(id)
    }
  }

  return BackendHealth.of({
    status: (id) => watched.get(id)?.status ?? unheard,
    record,
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
 * - `healthy` after one good probe; `unhealthy` after `failuresMax` probes that fail one after the other.
 * - A refused connection of an attempt makes a backend `unhealthy` at once, and it is probed at once in case it was only its queue of connections
 *   that was full. Two other failures to connect one after the other cause a probe at once.
 * - Slow answers to anything but the probe change nothing: `/api/ps` of a live server can take 10 seconds.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options?: Options): Layer.Layer<BackendHealth, never, Fleet | OllamaApi> =>
  Layer.effect(BackendHealth, make(options))
