/**
 * The catalog, from `/api/tags` and `/api/show` of every backend.
 *
 * @since 0.1.0
 */
import { Deferred, Duration, Effect, FiberMap, FiberSet, Layer, Option, Result } from "effect"
import { BackendHealth } from "../../services/BackendHealth.ts"
import { type Backend, Fleet } from "../../services/Fleet.ts"
import { ModelCatalog } from "../../services/ModelCatalog.ts"
import { OllamaApi } from "../../services/OllamaApi.ts"
import { watch } from "../../support/every.ts"
import { memberOf } from "../../support/memberOf.ts"
import { perBackend } from "../../support/perBackend.ts"
import * as FindOnMiss from "./findOnMiss.ts"
import { described, FleetModels } from "./fleetModels.ts"

/**
 * How often backends are read.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** Time between two readings of one backend. Defaults to 30 seconds. */
  readonly interval?: Duration.Input | undefined
  /** Least time between two readings because of unknown names. Defaults to 1 second. */
  readonly missInterval?: Duration.Input | undefined
}

/**
 * `/api/show` calls to one backend at a time. Each makes Ollama read the whole manifest and the header of the weights.
 */
const showsMax = 2

/** The two readings of one backend: its list of models, and the description of each new manifest. */
const readings = (
  api: OllamaApi["Service"],
  fleet: Fleet["Service"],
  known: FleetModels,
  answering: Set<string>,
  inBackground: (backend: Backend, effect: Effect.Effect<void>) => void,
) => {
  /** Manifests that a backend is asked about now. */
  const asked = new Map<string, Deferred.Deferred<void>>()

  const ask = Effect.fnUntraced(function* (backend: Backend, digest: string, name: string) {
    const answer = yield* Effect.result(api.show(backend, name))
    if (Result.isSuccess(answer)) known.describe(digest, described(answer.success))
  })

  /** A call that fails is made again after the next reading of the list. */
  const describe = Effect.fnUntraced(function* (backend: Backend) {
    yield* Effect.forEach(known.undescribed(backend.id), ([digest, name]) =>
      Effect.suspend(() => {
        // Another backend may have described the same manifest in the meantime, or is asked about it now.
        if (known.described.has(digest)) return Effect.void
        const other = asked.get(digest)
        if (other !== undefined) {
          return Effect.andThen(
            Deferred.await(other),
            Effect.suspend(() => known.described.has(digest) ? Effect.void : ask(backend, digest, name)),
          )
        }
        const end = Deferred.makeUnsafe<void>()
        asked.set(digest, end)
        return Effect.ensuring(
          ask(backend, digest, name),
          Effect.sync(() => {
            asked.delete(digest)
            Deferred.doneUnsafe(end, Effect.void)
          }),
        )
      }), { concurrency: showsMax, discard: true })
  })

  /** A backend that does not answer keeps the models that it had. */
  const read = Effect.fnUntraced(function* (backend: Backend) {
    const rows = yield* Effect.result(api.tags(backend))
    if (memberOf(fleet.members(), backend.id) === undefined) return
    if (Result.isFailure(rows)) {
      answering.delete(backend.id)
      return yield* Effect.logDebug(rows.failure.message)
    }
    answering.add(backend.id)
    known.list(backend.id, rows.success)
    known.prune()
    if (known.undescribed(backend.id).size > 0) inBackground(backend, describe(backend))
  })

  return { describe, read }
}

const make = Effect.fnUntraced(function* (options: Options | undefined) {
  const interval = Duration.fromInputUnsafe(options?.interval ?? "30 seconds")
  const fleet = yield* Fleet
  const api = yield* OllamaApi
  const health = yield* BackendHealth
  const run = yield* FiberSet.makeRuntime()
  const describing = yield* Effect.flatMap(FiberMap.make<string>(), (map) => FiberMap.runtime(map)())
  const known = new FleetModels()
  /** Ids of the backends whose last reading succeeded. */
  const answering = new Set<string>()

  const { describe, read } = readings(
    api,
    fleet,
    known,
    answering,
    (backend, effect) => describing(backend.id, effect, { onlyIfMissing: true }),
  )

  yield* perBackend(
    fleet,
    (_backend, latest) => watch(interval, Effect.suspend(() => read(latest()))),
    (id) => {
      answering.delete(id)
      known.remove(id)
    },
  )
  yield* Effect.acquireRelease(
    Effect.sync(() =>
      health.onChange(({ backend, status }) => {
        if (status.state !== "healthy") return
        const member = memberOf(fleet.members(), backend)
        if (member !== undefined) run(Effect.andThen(Effect.yieldNow, read(member.backend)))
      })
    ),
    (stop) => Effect.sync(stop),
  )

  const readAll = (backends: ReadonlyArray<Backend>) =>
    Effect.forEach(backends, read, { concurrency: "unbounded", discard: true })
  const find = yield* FindOnMiss.make({
    fleet,
    health,
    peek: (name) => known.peek(name),
    readAll,
    answering: (backend) => answering.has(backend),
    missMillis: Duration.toMillis(Duration.fromInputUnsafe(options?.missInterval ?? "1 second")),
  })

  return ModelCatalog.of({
    peek: (name) => known.peek(name),
    find,
    models: () => known.models,
    blob: ({ owners }, backend) => {
      const owner = owners.get(backend)
      return Option.fromUndefinedOr(owner === undefined ? undefined : known.described.get(owner.digest)?.blob)
    },
    version: () => known.version,
    forget: (backend, model) => known.forget(backend, model),
    refresh: Effect.suspend(() => {
      const backends = fleet.members().map(({ backend }) => backend)
      return Effect.andThen(
        readAll(backends),
        Effect.forEach(backends, describe, { concurrency: "unbounded", discard: true }),
      )
    }),
  })
})

/**
 * Reads `/api/tags` of every backend at the start, on a schedule, when a backend becomes healthy, and when `find` is
 * asked for an unknown name.
 *
 * **Details**
 *
 * - A model is one object for all spellings and all owners. Its owners may have different digests. It has every
 *   capability that one of its owners has.
 * - Each new manifest is read once with `/api/show`, in the background: the digest of the weights, and the
 *   capabilities where `/api/tags` does not list them.
 * - An unknown name causes one reading of all backends that are not unhealthy. All requests that come meanwhile share
 *   it, and the next one begins after `missInterval` at the earliest.
 * - `find` fails with `ModelMissing` if at least one backend answers, and with `CatalogUnavailable` if none does.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options?: Options): Layer.Layer<ModelCatalog, never, Fleet | OllamaApi | BackendHealth> =>
  Layer.effect(ModelCatalog, make(options))
