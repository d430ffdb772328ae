/** Chooses the fleet: the backends in the settings, else the Ollama on this machine, else a simulated one. */
import { Effect, type FileSystem, Layer, Redacted } from "effect"
import { HttpClient } from "effect/http"
import * as FileFleet from "../../src/layers/fleet/FileFleet.ts"
import * as StaticFleet from "../../src/layers/fleet/StaticFleet.ts"
import * as HttpGpuProbe from "../../src/layers/gpu/HttpGpuProbe.ts"
import * as NoGpuProbe from "../../src/layers/gpu/NoGpuProbe.ts"
import * as ProbedFleet from "../../src/layers/gpu/ProbedFleet.ts"
import type { Settings } from "../../src/layers/Settings.ts"
import * as HttpOllamaApi from "../../src/layers/transport/HttpOllamaApi.ts"
import type { Fleet, FleetError } from "../../src/services/Fleet.ts"
import type { GpuProbe } from "../../src/services/GpuProbe.ts"
import type { OllamaApi } from "../../src/services/OllamaApi.ts"
import type { Transport } from "../../src/services/Transport.ts"

export interface Place {
  readonly layer: Layer.Layer<Fleet | GpuProbe | OllamaApi | Transport, FleetError>
  /** Describes the fleet in the banner. */
  readonly says: string
  /** A model for the command in the banner. */
  readonly model: string
}

const limits = (settings: Settings) => ({ parallelism: settings.parallelism, streamsMax: settings.streamsPerBackend })

/** The layers that reach backends, files and devices. They differ between runtimes. */
export interface Reach {
  readonly transport: Layer.Layer<Transport>
  /** For control calls. Its timeout for the head of a response must be longer than a load takes. */
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
    HttpOllamaApi.layer().pipe(Layer.provide(reach.client)),
    reach.transport,
  ),
  says: `routing to ${where}`,
  model: "MODEL",
})

const listed = (urls: ReadonlyArray<string>, settings: Settings, reach: Reach): Place =>
  real(StaticFleet.layer(urls.map((url) => ({ url, ...limits(settings) }))), urls.join(", "), settings, reach)

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

export const choose = (settings: Settings, reach: Reach): Effect.Effect<Place> => {
  if (settings.backends.length > 0) return Effect.succeed(listed(settings.backends, settings, reach))
  if (settings.fleetFile !== "") return Effect.succeed(filed(settings.fleetFile, settings, reach))
  if (settings.ollamaHost !== "") return Effect.succeed(listed([settings.ollamaHost], settings, reach))
  return Effect.flatMap(
    Effect.provide(answers, reach.client),
    (found) => found ? Effect.succeed(listed([local], settings, reach)) : Effect.promise(() => simulated(settings)),
  )
}
