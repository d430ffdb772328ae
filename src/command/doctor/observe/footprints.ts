/**
 * The memory that wanted models would take, by the estimates that the router itself uses.
 *
 * @since 0.1.0
 */
import { type Duration, Effect, type FileSystem, Layer, Option, Stream } from "effect"
import * as OllamaModelCatalog from "../../../layers/catalog/OllamaModelCatalog.ts"
import * as LearnedModelFootprints from "../../../layers/memory/footprint/LearnedModelFootprints.ts"
import { BackendHealth, type BackendStatus } from "../../../services/BackendHealth.ts"
import { Fleet, type Member, onCpu } from "../../../services/Fleet.ts"
import { type FootprintError, ModelFootprints, shapeOn } from "../../../services/Footprint.ts"
import { isEmbedder, type Model, ModelCatalog } from "../../../services/ModelCatalog.ts"
import type { OllamaApi } from "../../../services/OllamaApi.ts"
import {
  answering,
  type Device,
  devicesOf,
  environmentOf,
  type Observations,
  type ObservedBackend,
  type ObservedFootprint,
} from "../observations.ts"
import * as Variables from "../ollamaVariables.ts"

/** Contexts that Ollama chooses, and those between: one of them may fit where the automatic one does not. */
const contexts = [4096, 8192, 16_384, 32_768, 65_536, 131_072, 262_144]

const gib = 1024 ** 3

/** Ollama's choice by the sum of the GPUs' memory (`server/routes.go` since 0.15.5). */
const byMemory = (devices: ReadonlyArray<Device>): number => {
  const total = devices.reduce((all, device) => all + (device.total ?? 0), 0)
  return total < 23 * gib ? 4096 : total < 47 * gib ? 32_768 : 262_144
}

/** The context of a backend when nobody asks for one: its label, else its variable, else Ollama's choice. */
const automatic = (
  observations: Observations,
  { backend: { id, labels } }: ObservedBackend,
  devices: ReadonlyArray<Device>,
): number => {
  const labelled = Number(labels["context-length"])
  const set = Variables.contextLength(environmentOf(observations, id)?.values ?? {}).value ?? 0
  return labelled > 0 ? labelled : set > 0 ? set : byMemory(devices)
}

/** The fleet as it was seen: those that answered, with their versions. */
const seen = (backends: ReadonlyArray<ObservedBackend>): Layer.Layer<Fleet | BackendHealth> => {
  const members: ReadonlyArray<Member> = backends.map(({ backend }) => ({ backend, state: "active" }))
  const versions = new Map(backends.map(({ backend, version }) => [backend.id, version]))
  const status = (id: string): BackendStatus => ({ state: "healthy", reason: "", since: 0, version: versions.get(id) })
  return Layer.merge(
    Layer.succeed(Fleet, {
      members: () => members,
      changes: Stream.succeed(members),
      setState: () => Effect.void,
    }),
    Layer.succeed(BackendHealth, { status, record: () => {}, check: Effect.void, onChange: () => () => {} }),
  )
}

type Estimates = Layer.Layer<
  ModelCatalog | ModelFootprints,
  FootprintError,
  BackendHealth | FileSystem.FileSystem | Fleet | OllamaApi
>

const estimates = (manifest: string): Estimates =>
  (manifest === "" ? LearnedModelFootprints.layer() : LearnedModelFootprints.fromFile(manifest)).pipe(
    Layer.provideMerge(OllamaModelCatalog.layer()),
  )

const parallelOf = (observations: Observations, { backend }: ObservedBackend, model: Model): number => {
  const environment = environmentOf(observations, backend.id)
  if (isEmbedder(model)) return 1
  return environment === undefined
    ? backend.parallelism
    : Math.max(1, Variables.parallel(environment.values).value ?? 1)
}

/** The footprints of one model on one backend, at each context. */
const ofModel = (
  observations: Observations,
  observed: ObservedBackend,
  devices: ReadonlyArray<Device>,
  model: Model,
  footprints: ModelFootprints["Service"],
): ReadonlyArray<ObservedFootprint> => {
  const { backend } = observed
  const most = model.contextTrained ?? Infinity
  const chosen = Math.min(automatic(observations, observed, devices), most)
  const parallelism = parallelOf(observations, observed, model)
  const largest = Math.max(...devices.map(({ total }) => total ?? 0))
  const at = (context: number, count: number) =>
    footprints.of(model, backend, shapeOn(backend, { context, parallelism, devices: count }))?.reserve
  const all = new Set([...contexts.filter((context) => context < chosen), chosen])
  return Array.from(all).flatMap((context): ReadonlyArray<ObservedFootprint> => {
    const alone = at(context, 1)
    // Ollama splits a model over several GPUs only if no single one is large enough.
    const bytes = alone !== undefined && alone > largest && devices.length > 1 ? at(context, devices.length) : alone
    const automatic = context === chosen
    return bytes === undefined ? [] : [{ backend: backend.id, model: model.key, context, automatic, bytes }]
  })
}

const gather = Effect.fnUntraced(function* (observations: Observations, backends: ReadonlyArray<ObservedBackend>) {
  const catalog = yield* ModelCatalog
  const footprints = yield* ModelFootprints
  yield* catalog.refresh
  const found = yield* Effect.forEach(observations.models, ({ key }) =>
    Effect.gen(function* () {
      const model = catalog.peek(key)
      if (model === undefined || model.remote) return []
      const owners = backends.filter(({ backend }) => model.owners.has(backend.id))
      return yield* Effect.forEach(owners, (observed) =>
        Effect.gen(function* () {
          const devices = devicesOf(observations, observed) ?? []
          if (onCpu(observed.backend) || devices.length === 0) return []
          yield* footprints.prepare(model, observed.backend)
          return ofModel(observations, observed, devices, model, footprints)
        }))
    }))
  return found.flat(2)
})

/** Nothing where it cannot be estimated in time. */
export const footprints = (
  observations: Observations,
  limit: Duration.Duration,
): Effect.Effect<ReadonlyArray<ObservedFootprint>, never, FileSystem.FileSystem | OllamaApi> => {
  const backends = answering(observations)
  if (observations.models.length === 0 || backends.length === 0) return Effect.succeed([])
  const run = (manifest: string) =>
    Layer.build(Layer.provideMerge(estimates(manifest), seen(backends))).pipe(
      Effect.flatMap((built) => Effect.provide(gather(observations, backends), built)),
      Effect.scoped,
    )
  return run(observations.settings.values.footprintsFile).pipe(
    // A manifest that cannot be read keeps the server from starting: `serve --check` tells what is wrong with it.
    Effect.catch(() => run("")),
    Effect.orElseSucceed(() => []),
    Effect.timeoutOption(limit),
    Effect.map(Option.getOrElse((): ReadonlyArray<ObservedFootprint> => [])),
  )
}
