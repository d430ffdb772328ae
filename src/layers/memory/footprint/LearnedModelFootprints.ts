/**
 * Footprints of the models the fleet has: estimated from `/api/show` and `/api/tags`, corrected by what loads took, overridden by a manifest.
 *
 * @since 0.1.0
 */
import { Clock, Duration, Effect, Fiber, FiberMap, FileSystem, Layer, Result } from "effect"
import { BackendHealth } from "../../../services/BackendHealth.ts"
import { type Backend, Fleet } from "../../../services/Fleet.ts"
import {
  type Footprint,
  FootprintError,
  type Lesson,
  ManifestInvalid,
  ModelFootprints,
  type Observation,
  type RunShape,
} from "../../../services/Footprint.ts"
import type { Geometry } from "../../../services/Geometry.ts"
import { type Model, ModelCatalog } from "../../../services/ModelCatalog.ts"
import { OllamaApi } from "../../../services/OllamaApi.ts"
import { every } from "../../../support/every.ts"
import { estimate } from "./estimate.ts"
import { fromShow } from "./geometry.ts"
import * as Lessons from "./learn.ts"
import * as Manifest from "./manifest.ts"

/**
 * What a deployer may change.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** Content of a manifest file, see `footprint/manifest.ts`. Nothing is pinned by default. */
  readonly manifest?: string | undefined
  /** Between two looks at the catalog for models not described yet, and before a failed description is tried again. Defaults to 30 seconds. */
  readonly interval?: Duration.Input | undefined
}

/** `/api/show` calls in flight. */
const showsMax = 2

/** Of a remote model: it uses no memory here. */
const nothing: Footprint = { parts: undefined, total: 0, margin: 0, reserve: 0, source: "estimated" }

/** What `/api/show` gave for a manifest: what it could be read as, or when it failed. */
type Described = { readonly geometry: Geometry | undefined } | { readonly failedAt: number }

const make = Effect.fnUntraced(function* (options: Options | undefined) {
  const interval = Duration.fromInputUnsafe(options?.interval ?? "30 seconds")
  const pins: Manifest.Pins = options?.manifest === undefined ? new Map() : yield* Manifest.parse(options.manifest)
  const api = yield* OllamaApi
  const catalog = yield* ModelCatalog
  const fleet = yield* Fleet
  const health = yield* BackendHealth
  const clock = yield* Clock.Clock
  const run = yield* Effect.flatMap(FiberMap.make<string>(), (map) => FiberMap.runtime(map)())
  const described = new Map<string, Described>()
  let lessons = Lessons.empty
  let changes = 0

  /** Servers of any age send no digest at times: such a model is then described for itself. */
  const digestOf = (model: Model, backend: string): string | undefined => {
    const owner = model.owners.get(backend)
    return owner === undefined ? undefined : owner.digest === "" ? `${backend}/${model.key}` : owner.digest
  }

  /** A failed description is as good as none once it is old enough to be tried again. */
  const isDue = (digest: string): boolean => {
    const known = described.get(digest)
    return known === undefined ||
      ("failedAt" in known && clock.currentTimeMillisUnsafe() - known.failedAt >= Duration.toMillis(interval))
  }

  const describe = Effect.fnUntraced(function* (model: Model, backend: Backend, digest: string) {
    const answer = yield* Effect.result(api.show(backend, model.key))
    if (Result.isFailure(answer)) {
      described.set(digest, { failedAt: clock.currentTimeMillisUnsafe() })
      return yield* Effect.logDebug(answer.failure.message)
    }
    const capabilities = answer.success.capabilities ?? model.capabilities
    const geometry = fromShow({ ...answer.success, capabilities })
    if (geometry === undefined) {
      yield* Effect.logWarning(`${model.key} on ${backend.id} does not say what it is made of`)
    }
    described.set(digest, { geometry })
    changes++
  })

  /** One call for each manifest at a time, in this layer's scope: who asked first may leave. */
  const start = (model: Model, backend: Backend, digest: string) =>
    run(digest, describe(model, backend, digest), { onlyIfMissing: true })

  const describeNew = Effect.gen(function* () {
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
    const oneOf = ([digest, [model, backend]]: readonly [string, readonly [Model, Backend]]) =>
      Effect.suspend(() => Fiber.await(start(model, backend, digest)))
    yield* Effect.forEach(due, oneOf, { concurrency: showsMax, discard: true })
  })
  yield* Effect.forkScoped(every(interval, describeNew))

  const geometryOf = (model: Model, backend: Backend): Geometry | undefined => {
    const digest = digestOf(model, backend.id)
    if (digest === undefined || model.remote) return undefined
    const known = described.get(digest)
    if (known !== undefined && "geometry" in known) return known.geometry
    // The one who asks goes without, and the next finds it.
    if (isDue(digest)) start(model, backend, digest)
    return undefined
  }

  const keyOf = (model: Model, backend: Backend, shape: RunShape): Lessons.LessonKey => ({
    host: backend.id,
    version: health.status(backend.id).version,
    digest: digestOf(model, backend.id) ?? "",
    shape,
    gpus: backend.devices,
  })

  const of = (model: Model, backend: Backend, shape: RunShape): Footprint | undefined => {
    if (model.remote) return nothing
    const geometry = geometryOf(model, backend)
    const size = model.owners.get(backend.id)?.size ?? 0
    // A size of 0 is one that was not said.
    const estimated = geometry === undefined || size <= 0 ? undefined : estimate(geometry, shape, size)
    return Manifest.pinned(pins, model.key, backend.id, shape, estimated) ??
      Lessons.corrected(lessons, keyOf(model, backend, shape), estimated)
  }

  const learn = (model: Model, backend: Backend, shape: RunShape, observation: Observation): Lesson => {
    const before = of(model, backend, shape)
    const key = keyOf(model, backend, shape)
    const seen = model.remote ? undefined : Lessons.observed(key, observation, model.owners.get(backend.id)?.size ?? 0)
    if (seen === undefined) return { before, after: before, exceeded: 0 }
    lessons = Lessons.learn(lessons, key, seen)
    changes++
    const exceeded = before === undefined ? 0 : Math.max(0, seen.bytes - before.reserve)
    return { before, after: of(model, backend, shape), exceeded }
  }

  return ModelFootprints.of({
    of,
    geometry: geometryOf,
    learn,
    prepare: Effect.fn("ModelFootprints.prepare")(function* (model: Model, backend: Backend) {
      const digest = digestOf(model, backend.id)
      if (digest === undefined || model.remote || !isDue(digest)) return
      yield* Fiber.await(start(model, backend, digest))
    }),
    version: () => changes + catalog.version(),
  })
})

/**
 * Describes each manifest once by `/api/show`, in the background and when first asked for it, and answers from memory.
 *
 * **Details**
 *
 * - In this order: what the manifest file pins, what was learned for exactly this host, version, digest, shape and GPUs, what the formulas say.
 * - What was learned is kept in memory: after a restart the bounds hold again until the first load.
 * - Remote models take nothing.
 *
 * **Gotchas**
 *
 * Without `verbose`, which `OllamaApi` does not ask for, Ollama leaves out the vocabulary, the tensors and per-layer arrays. Bounds from above take their
 * place, which for models with a different number of heads in each layer can be several times too much until a load has been seen.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (
  options?: Options,
): Layer.Layer<ModelFootprints, FootprintError, Fleet | OllamaApi | ModelCatalog | BackendHealth> =>
  Layer.effect(ModelFootprints, make(options))

const named = (path: string, { message }: { readonly message: string }) =>
  new FootprintError({ reason: new ManifestInvalid({ description: `${path}: ${message}` }) })

/**
 * `layer` with the manifest in a file, read once.
 *
 * @category layers
 * @since 0.1.0
 */
export const fromFile = (path: string, options?: Omit<Options, "manifest">) =>
  Layer.unwrap(
    FileSystem.FileSystem.use((files) => files.readFileString(path)).pipe(
      Effect.map((manifest) => layer({ ...options, manifest })),
    ),
  ).pipe(Layer.catch((error) => Layer.effect(ModelFootprints, Effect.fail(named(path, error)))))
