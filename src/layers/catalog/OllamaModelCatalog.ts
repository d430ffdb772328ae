/**
 * The catalog, from `/api/tags` and `/api/show` of every backend.
 *
 * @since 0.1.0
 */
import { Clock, Deferred, Duration, Effect, FiberMap, FiberSet, Layer, Option, Result } from "effect"
import { BackendHealth } from "../../services/BackendHealth.ts"
import { type Backend, Fleet } from "../../services/Fleet.ts"
import { CatalogUnavailable, ModelCatalog, ModelCatalogError, ModelMissing } from "../../services/ModelCatalog.ts"
import { OllamaApi } from "../../services/OllamaApi.ts"
import { watch } from "../../support/every.ts"
import { perBackend } from "../../support/perBackend.ts"
import { FleetModels, shown } from "./fleetModels.ts"

/**
 * How often backends are asked.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** Between two readings of one backend. Defaults to 30 seconds. */
  readonly interval?: Duration.Input | undefined
  /** Between two readings because of names that are not known. Defaults to 1 second. */
  readonly missInterval?: Duration.Input | undefined
}

/** `/api/show` calls to one backend at a time: it reads the whole manifest and the model's header. */
const showsMax = 2

const make = Effect.fnUntraced(function* (options: Options | undefined) {
  const missMillis = Duration.toMillis(Duration.fromInputUnsafe(options?.missInterval ?? "1 second"))
  const interval = Duration.fromInputUnsafe(options?.interval ?? "30 seconds")
  const fleet = yield* Fleet
  const api = yield* OllamaApi
  const health = yield* BackendHealth
  const clock = yield* Clock.Clock
  const run = yield* FiberSet.makeRuntime()
  const describing = yield* Effect.flatMap(FiberMap.make<string>(), (map) => FiberMap.runtime(map)())
  const known = new FleetModels()
  /** The backends whose last reading succeeded. */
  const answering = new Set<string>()

  /** Capabilities where tags has none, and the weights' digest, once for each manifest. A call that fails is made again after the next reading. */
  const describe = Effect.fnUntraced(function* (backend: Backend) {
    yield* Effect.forEach(known.unseen(backend.id), ([digest, name]) =>
      Effect.gen(function* () {
        // Another backend may have described the same manifest in the meantime.
        if (known.shown.has(digest)) return
        const answer = yield* Effect.result(api.show(backend, name))
        if (Result.isSuccess(answer)) known.shown.set(digest, shown(answer.success))
      }), { concurrency: showsMax, discard: true })
    known.merge()
  })

  /** Reads one list. A backend that cannot be reached keeps its last known models. */
  const read = Effect.fnUntraced(function* (backend: Backend) {
    const rows = yield* Effect.result(api.tags(backend))
    if (!fleet.members().some((member) => member.backend.id === backend.id)) return
    if (Result.isFailure(rows)) {
      answering.delete(backend.id)
      return yield* Effect.logDebug(rows.failure.message)
    }
    answering.add(backend.id)
    known.lists.set(backend.id, rows.success)
    known.prune()
    known.merge()
    if (known.unseen(backend.id).size > 0) describing(backend.id, describe(backend), { onlyIfMissing: true })
  })

  yield* perBackend(
    fleet,
    (backend) => watch(interval, read(backend)),
    (id) => {
      answering.delete(id)
      known.lists.delete(id)
      known.merge()
    },
  )
  yield* Effect.acquireRelease(
    Effect.sync(() =>
      health.onChange(({ backend, status }) => {
        if (status.state !== "healthy") return
        const member = fleet.members().find((each) => each.backend.id === backend)
        if (member !== undefined) run(Effect.andThen(Effect.yieldNow, read(member.backend)))
      })
    ),
    (stop) => Effect.sync(stop),
  )

  const readAll = (backends: ReadonlyArray<Backend>) =>
    Effect.forEach(backends, read, { concurrency: "unbounded", discard: true })

  let flight: Deferred.Deferred<void> | undefined
  let landedAt = -Infinity

  /** One reading of all for every name asked for meanwhile, in this layer's scope: a client that leaves does not end it for the others. */
  const ask = Effect.suspend(() => {
    if (flight !== undefined) return Deferred.await(flight)
    if (clock.currentTimeMillisUnsafe() - landedAt < missMillis) return Effect.void
    const end = Deferred.makeUnsafe<void>()
    flight = end
    // The ones known to be dead would make everybody wait for their time-out.
    const backends = fleet.members().map(({ backend }) => backend)
    const reachable = backends.filter(({ id }) => health.status(id).state !== "unhealthy")
    run(Effect.onExit(readAll(reachable), () =>
      Effect.sync(() => {
        flight = undefined
        landedAt = clock.currentTimeMillisUnsafe()
        Deferred.doneUnsafe(end, Effect.void)
      })))
    return Deferred.await(end)
  })

  const find = Effect.fn("ModelCatalog.find")(function* (name: string) {
    const found = known.peek(name)
    if (found !== undefined) return found
    yield* ask
    const now = known.peek(name)
    if (now !== undefined) return now
    const someAnswer = fleet.members().some(({ backend: { id } }) =>
      answering.has(id) && health.status(id).state !== "unhealthy"
    )
    return yield* new ModelCatalogError({
      reason: someAnswer ? new ModelMissing({ name }) : new CatalogUnavailable({ description: "no backend answers" }),
    })
  })

  return ModelCatalog.of({
    peek: (name) => known.peek(name),
    find,
    models: () => known.models,
    blob: ({ owners }, backend) => {
      const owner = owners.get(backend)
      return Option.fromUndefinedOr(owner === undefined ? undefined : known.shown.get(owner.digest)?.blob)
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
 * Reads `/api/tags` of every backend at start, on a schedule, when a backend becomes healthy, and when `find` does not know a name.
 *
 * **Details**
 *
 * - One model for all spellings and all owners; owners may have different digests. Its capabilities are those of any owner.
 * - Each new manifest is described once by `/api/show`, in the background: the digest of the weights, and the capabilities where tags has none.
 * - Names not known cause one reading of all backends but the unhealthy, shared by all who ask, and none within `missInterval` of the last.
 * - `ModelMissing` needs a backend that answers; otherwise it is `CatalogUnavailable`.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options?: Options): Layer.Layer<ModelCatalog, never, Fleet | OllamaApi | BackendHealth> =>
  Layer.effect(ModelCatalog, make(options))
