/** Chooses the fleet: the backends in the settings, else the Ollama on this machine, else a simulated one. */
import { Effect, type FileSystem, Layer, Redacted, Schema } from "effect"
import { HttpClient } from "effect/http"
import * as FileFleet from "../../layers/fleet/FileFleet.ts"
import * as StaticFleet from "../../layers/fleet/StaticFleet.ts"
import * as HttpGpuProbe from "../../layers/gpu/HttpGpuProbe.ts"
import * as NoGpuProbe from "../../layers/gpu/NoGpuProbe.ts"
import * as ProbedFleet from "../../layers/gpu/ProbedFleet.ts"
import { backendNames, type Settings } from "../../layers/Settings.ts"
import * as HttpOllamaApi from "../../layers/transport/HttpOllamaApi.ts"
import { backend, type Fleet, type FleetError } from "../../services/Fleet.ts"
import type { GpuProbe } from "../../services/GpuProbe.ts"
import type { OllamaApi } from "../../services/OllamaApi.ts"
import type { Transport } from "../../services/Transport.ts"

export interface Place {
  readonly layer: Layer.Layer<Fleet | GpuProbe | OllamaApi | Transport, FleetError>
  /** Describes the fleet in the banner. */
  readonly says: string
  /** A model for the command in the banner. */
  readonly model: string
  /** Whether the answers are made up. */
  readonly simulated: boolean
}

const limits = (settings: Settings) => ({ parallelism: settings.parallelism, streamsMax: settings.streamsPerBackend })

/** The layers that reach backends, files and devices. They differ between runtimes. */
export interface Reach {
  readonly transport: Layer.Layer<Transport>
  /** For GPU agents. */
  readonly client: Layer.Layer<HttpClient.HttpClient>
  readonly files: Layer.Layer<FileSystem.FileSystem>
  /** The devices of this machine, for `LLAMERO_VRAM`. */
  readonly gpus: Layer.Layer<GpuProbe>
}

/** The fleet with the devices of this machine, and of the machines that have an agent. */
const probed = (fleet: Layer.Layer<Fleet, FleetError>, settings: Settings, { client, gpus }: Reach) => {
  const token = Redacted.make(settings.agentToken)
  const agents = settings.agents.map((url) => [new URL(url).hostname, HttpGpuProbe.layer({ url, token })] as const)
  const hosts = { localhost: gpus, ...Object.fromEntries(agents) }
  return ProbedFleet.layer({ fleet, hosts }).pipe(Layer.provide(client))
}

const real = (fleet: Layer.Layer<Fleet, FleetError>, where: string, settings: Settings, reach: Reach): Place => ({
  layer: Layer.mergeAll(
    settings.vram ? probed(fleet, settings, reach) : Layer.merge(fleet, NoGpuProbe.layer),
    // A transport of its own, so that control calls and streams do not share connections.
    HttpOllamaApi.layerTransport().pipe(Layer.provide(Layer.fresh(reach.transport))),
    reach.transport,
  ),
  says: `routing to ${where}`,
  model: "MODEL",
  simulated: false,
})

const listed = (urls: ReadonlyArray<string>, settings: Settings, reach: Reach): Place =>
  real(
    StaticFleet.layer(urls.map((url) => ({ url, ...limits(settings) }))),
    urls.map((url) => backend(url).url).join(", "),
    settings,
    reach,
  )

const filed = (path: string, settings: Settings, reach: Reach): Place =>
  real(
    FileFleet.layer(path, { backend: limits(settings), interval: settings.fleetMillis }).pipe(
      Layer.provide(reach.files),
    ),
    `the backends in ${path}`,
    settings,
    reach,
  )

/** The simulated Ollama is loaded only when it is used: it is a tenth of the code that the server starts with. */
const simulated = (settings: Settings): Promise<Place> =>
  import("./simulatedPlace.ts").then(({ place }) => place(settings, limits(settings)))

const local = "http://127.0.0.1:11434"

/** Whether an Ollama answers here. The timeout suffices for a busy machine, and delays the start little without one. */
const answers = HttpClient.get(`${local}/api/version`).pipe(
  Effect.map(({ status }) => status === 200),
  Effect.timeout("700 millis"),
  Effect.orElseSucceed(() => false),
)

/** Backends are configured, and there are none. */
export class NoBackends extends Schema.TaggedError<NoBackends>()("NoBackends", { names: Schema.Array(Schema.String) }) {
  override get message(): string {
    const names = this.names.join(", ")
    return `${names}: no backends are named, and no Ollama answers on ${local}. Set LLAMERO_BACKENDS to your servers; ` +
      `or unset ${names}, to look around with a simulated Ollama`
  }
}

/** `env` says whether backends are configured at all: only where they are not, the answers may be made up. */
export const choose = Effect.fnUntraced(function* (
  settings: Settings,
  reach: Reach,
  env: Readonly<Record<string, string | undefined>>,
): Effect.fn.Return<Place, NoBackends> {
  if (settings.backends.length > 0) return listed(settings.backends, settings, reach)
  if (settings.fleetFile !== "") return filed(settings.fleetFile, settings, reach)
  if (settings.ollamaHost !== "") return listed([settings.ollamaHost], settings, reach)
  if (yield* Effect.provide(answers, reach.client)) return listed([local], settings, reach)
  const names = backendNames(env)
  if (names.length > 0) return yield* new NoBackends({ names })
  return yield* Effect.promise(() => simulated(settings))
})
