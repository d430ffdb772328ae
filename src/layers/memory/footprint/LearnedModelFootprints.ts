/**
 * Estimates the memory that models take, and learns from their loads. Estimates come from `/api/show` and `/api/tags`.
 * A manifest file overrides them.
 *
 * @since 0.1.0
 */
import { Duration, Effect, FileSystem, Layer } from "effect"
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
import { type Model, ModelCatalog } from "../../../services/ModelCatalog.ts"
import { OllamaApi } from "../../../services/OllamaApi.ts"
import { every } from "../../../support/every.ts"
import * as Descriptions from "./descriptions.ts"
import { estimate } from "./estimate.ts"
import * as Lessons from "./learn.ts"
import { LearnedFlash, type Run } from "./learnFlash.ts"
import * as Manifest from "./manifest.ts"

/**
 * What a deployer may change.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /**
   * The content of a manifest file, which sets footprints by model:
   * `{ "models": { "llama3.1:8b": [{ "total": "7 GiB" }, { "context": 32768, "total": "11 GiB" }] } }`. By default
   * none.
   */
  readonly manifest?: string | undefined
  /**
   * Time between two searches of the catalog for models that were not described yet, and before a failed description is
   * tried again. Defaults to 30 seconds.
   */
  readonly interval?: Duration.Input | undefined
}

/** The footprint of a remote model, which uses no memory of the fleet. */
const noMemory: Footprint = { parts: undefined, total: 0, margin: 0, reserve: 0, source: "estimated" }

/**
 * The first readings wait for so long. Each is up to a few megabytes of JSON, and the server has to be ready first. A
 * footprint that is asked for earlier is read at once.
 */
const firstAfter = Duration.millis(500)

const make = Effect.fnUntraced(function* (options: Options | undefined) {
  const interval = Duration.fromInputUnsafe(options?.interval ?? "30 seconds")
  const overrides: Manifest.Overrides = options?.manifest === undefined
    ? new Map()
    : yield* Manifest.parse(options.manifest)
  const catalog = yield* ModelCatalog
  const health = yield* BackendHealth
  let lessons = Lessons.empty
  const flash = new LearnedFlash()
  let changes = 0
  const descriptions = yield* Descriptions.make({
    api: yield* OllamaApi,
    catalog,
    fleet: yield* Fleet,
    health,
    retryMillis: Duration.toMillis(interval),
    changed: () => {
      changes++
    },
  })
  yield* Effect.forkScoped(Effect.delay(every(interval, descriptions.describeDue), firstAfter))

  const version = (backend: Backend) => health.status(backend.id).version

  const keyOf = (model: Model, backend: Backend, shape: RunShape): Lessons.LessonKey => ({
    host: backend.id,
    version: version(backend),
    digest: Descriptions.digestOf(model, backend.id) ?? "",
    shape,
    gpus: backend.devices,
  })

  const runOf = (model: Model, backend: Backend, shape: RunShape): Run | undefined => {
    const geometry = descriptions.geometry(model, backend)
    const file = model.owners.get(backend.id)?.size ?? 0
    // A size of 0 means that the backend did not report it.
    return geometry === undefined || file <= 0
      ? undefined
      : { host: backend.id, version: version(backend), gpus: backend.devices, geometry, shape, file }
  }

  const of = (model: Model, backend: Backend, shape: RunShape): Footprint | undefined => {
    if (model.remote) return noMemory
    const run = runOf(model, backend, shape)
    const estimated = run && estimate(run.geometry, flash.shape(run), run.file, run.version)
    return Manifest.overridden(overrides, model.key, backend.id, shape, estimated) ??
      Lessons.corrected(lessons, keyOf(model, backend, shape), estimated)
  }

  const learn = (model: Model, backend: Backend, shape: RunShape, observation: Observation): Lesson => {
    const before = of(model, backend, shape)
    const key = keyOf(model, backend, shape)
    const seen = model.remote ? undefined : Lessons.observed(key, observation, model.owners.get(backend.id)?.size ?? 0)
    if (seen === undefined) return { before, after: before, exceeded: 0 }
    lessons = Lessons.learn(lessons, key, seen)
    const run = runOf(model, backend, shape)
    if (run !== undefined && Lessons.isMeasured(key, observation, run.file)) flash.learn(run, observation)
    changes++
    const exceeded = before === undefined ? 0 : Math.max(0, seen.bytes - before.reserve)
    return { before, after: of(model, backend, shape), exceeded }
  }

  return ModelFootprints.of({
    of,
    geometry: descriptions.geometry,
    learn,
    prepare: descriptions.prepare,
    version: () => changes + catalog.version(),
  })
})

/**
 * Reads each manifest once with `/api/show`, in the background and when a footprint is first asked for, and answers
 * from memory.
 *
 * **Details**
 *
 * - A footprint comes from the manifest file; else from what was learned for exactly this host, version, digest,
 *   shape and GPUs; else from the formulas.
 * - Where it is not known whether a model runs with flash attention, its first load shows it, for all models with the
 *   same heads on the same backend.
 * - What was learned is only in memory. After a restart the formulas hold again until the first load.
 * - Remote models need no memory.
 *
 * **Gotchas**
 *
 * Without `verbose`, which an `OllamaApi` may leave out, Ollama does not send the vocabulary, the tensors and the
 * arrays with one value for each layer. Upper bounds take their place. For models whose layers have different numbers
 * of heads they can be several times too high, until a load was observed.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (
  options?: Options,
): Layer.Layer<ModelFootprints, FootprintError, Fleet | OllamaApi | ModelCatalog | BackendHealth> =>
  Layer.effect(ModelFootprints, make(options))

const manifestError = (path: string, { message }: { readonly message: string }) =>
  new FootprintError({ reason: new ManifestInvalid({ description: `${path}: ${message}` }) })

/**
 * `layer` with the manifest in a file, which is read once.
 *
 * @category layers
 * @since 0.1.0
 */
export const fromFile = (
  path: string,
  options?: Omit<Options, "manifest">,
): Layer.Layer<
  ModelFootprints,
  FootprintError,
  Fleet | OllamaApi | ModelCatalog | BackendHealth | FileSystem.FileSystem
> =>
  Layer.unwrap(
    FileSystem.FileSystem.use((files) => files.readFileString(path)).pipe(
      Effect.map((manifest) => layer({ ...options, manifest })),
    ),
  ).pipe(Layer.catch((error) => Layer.effect(ModelFootprints, Effect.fail(manifestError(path, error)))))

/**
 * Reads a manifest file as `fromFile` does, only to find out what is wrong with it.
 *
 * @category constructors
 * @since 0.1.0
 */
export const check = (path: string): Effect.Effect<void, FootprintError, FileSystem.FileSystem> =>
  FileSystem.FileSystem.use((files) => files.readFileString(path)).pipe(
    Effect.flatMap(Manifest.parse),
    Effect.mapError((error) => manifestError(path, error)),
    Effect.asVoid,
  )
