/**
 * The geometry of each manifest of the fleet, read once with `/api/show` in the background.
 *
 * @since 0.1.0
 */
import { Clock, Effect, Fiber, FiberMap, Result } from "effect"
import type { BackendHealth } from "../../../services/BackendHealth.ts"
import type { Backend, Fleet } from "../../../services/Fleet.ts"
import type { Geometry } from "../../../services/Geometry.ts"
import type { Model, ModelCatalog } from "../../../services/ModelCatalog.ts"
import type { OllamaApi } from "../../../services/OllamaApi.ts"
import { fromShow } from "./geometry.ts"

/** `/api/show` calls at the same time. */
const showsMax = 2

/** The result of `/api/show` for a manifest: its geometry, if the answer has one, or when the call failed. */
type Described = { readonly geometry: Geometry | undefined } | { readonly failedAt: number }

/** @category models @since 0.1.0 */
export interface Options {
  readonly api: OllamaApi["Service"]
  readonly catalog: ModelCatalog["Service"]
  readonly fleet: Fleet["Service"]
  readonly health: BackendHealth["Service"]
  /** Milliseconds before a failed description is tried again. */
  readonly retryMillis: number
  /** Called after each new description. */
  readonly changed: () => void
}

/**
 * The digest that a model is described under; `undefined` if the backend does not have the model. Some servers send no
 * digest: such a model is described for itself.
 *
 * @category accessors
 * @since 0.1.0
 */
export const digestOf = (model: Model, backend: string): string | undefined => {
  const owner = model.owners.get(backend)
  return owner === undefined ? undefined : owner.digest === "" ? `${backend}/${model.key}` : owner.digest
}

const describe = (api: OllamaApi["Service"], model: Model, backend: Backend) =>
  Effect.gen(function* () {
    const answer = yield* Effect.result(api.show(backend, model.key, { verbose: true }))
    if (Result.isFailure(answer)) {
      yield* Effect.logDebug(answer.failure.message)
      return undefined
    }
    const capabilities = answer.success.capabilities ?? model.capabilities
    const geometry = fromShow({ ...answer.success, capabilities })
    if (geometry === undefined) {
      yield* Effect.logWarning(`${model.key} on ${backend.id} does not say what it is made of`)
    }
    return { geometry }
  }).pipe(
    // Without this a defect would leave no result, and every request would start the next call at once.
    Effect.catchDefect((defect) =>
      Effect.as(Effect.logError(`${model.key} on ${backend.id} could not be described`, defect), undefined)
    ),
  )

/** @category constructors @since 0.1.0 */
export const make = Effect.fnUntraced(function* ({ api, catalog, changed, fleet, health, retryMillis }: Options) {
  const clock = yield* Clock.Clock
  const run = yield* Effect.flatMap(FiberMap.make<string>(), (map) => FiberMap.runtime(map)())
  const described = new Map<string, Described>()

  const isDue = (digest: string): boolean => {
    const known = described.get(digest)
    return known === undefined ||
      ("failedAt" in known && clock.currentTimeMillisUnsafe() - known.failedAt >= retryMillis)
  }

  /** One call at a time for each manifest, in a fiber of the layer, because the request that started it may end. */
  const start = (model: Model, backend: Backend, digest: string) =>
    run(
      digest,
      Effect.map(describe(api, model, backend), (found) => {
        described.set(digest, found ?? { failedAt: clock.currentTimeMillisUnsafe() })
        if (found !== undefined) changed()
      }),
      { onlyIfMissing: true },
    )

  const dueManifests = (): ReadonlyMap<string, readonly [Model, Backend]> => {
    const backends = new Map(fleet.members().map(({ backend }) => [backend.id, backend]))
    const present = new Set<string>()
    const due = new Map<string, readonly [Model, Backend]>()
    for (const model of catalog.models()) {
      for (const id of model.owners.keys()) {
        const digest = digestOf(model, id)
        const backend = backends.get(id)
        if (digest === undefined || model.remote) continue
        present.add(digest)
        if (backend === undefined || health.status(id).state === "unhealthy" || !isDue(digest)) continue
        due.set(digest, [model, backend])
      }
    }
    for (const digest of described.keys()) if (!present.has(digest)) described.delete(digest)
    return due
  }

  return {
    /** Describes the manifests that are new or due again, and forgets those that no backend has any more. */
    describeDue: Effect.suspend(() =>
      Effect.forEach(
        dueManifests(),
        ([digest, [model, backend]]) => Effect.suspend(() => Fiber.await(start(model, backend, digest))),
        { concurrency: showsMax, discard: true },
      )
    ),
    /** The geometry, if it is known. Otherwise this starts a description, which a later call finds. */
    geometry: (model: Model, backend: Backend): Geometry | undefined => {
      const digest = digestOf(model, backend.id)
      if (digest === undefined || model.remote) return undefined
      const known = described.get(digest)
      if (known !== undefined && "geometry" in known) return known.geometry
      if (isDue(digest)) start(model, backend, digest)
      return undefined
    },
    prepare: Effect.fn("ModelFootprints.prepare")(function* (model: Model, backend: Backend) {
      const digest = digestOf(model, backend.id)
      if (digest === undefined || model.remote || !isDue(digest)) return
      yield* Fiber.await(start(model, backend, digest))
    }),
  }
})
