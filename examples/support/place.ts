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
import * as SimulatedFleet from "../../src/simulated/SimulatedFleet.ts"
import * as SimulatedGpuProbe from "../../src/simulated/SimulatedGpuProbe.ts"
import * as SimulatedOllamaApi from "../../src/simulated/SimulatedOllamaApi.ts"
import * as SimulatedTransport from "../../src/simulated/SimulatedTransport.ts"

export interface Place {
  readonly layer: Layer.Layer<Fleet | GpuProbe | OllamaApi | Transport, FleetError>
  /** Describes the fleet in the banner. */
  readonly says: string
  /** A model for the command in the banner. */
  readonly model: string
}

const limits = (settings: Settings) => ({ parallelism: settings.parallelism, streamsMax: settings.streamsPerGpu })

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

const simulated = (settings: Settings): Place => {
  const url = "http://simulated-a100:11434"
  const fleet = SimulatedFleet.layer({
    [url]: {
      gpus: ["80 GiB"],
      models: [SimulatedFleet.Model.llama31, SimulatedFleet.Model.mistral, SimulatedFleet.Model.embedder],
      loadBandwidth: 4e9,
      prefillRate: 5000,
      decodeRate: 100,
      parallelism: settings.parallelism,
    },
  })
  return {
    layer: Layer.mergeAll(
      StaticFleet.layer([{ url, id: "simulated-a100", devices: [SimulatedGpuProbe.uuid(url)], ...limits(settings) }]),
      SimulatedGpuProbe.layer,
      SimulatedOllamaApi.layer,
      SimulatedTransport.layer,
    ).pipe(Layer.provide(fleet)),
    says: "no Ollama found: answers come from a SIMULATED one (an A100 80 GB), and mean nothing",
    model: SimulatedFleet.Model.llama31.name,
  }
}

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
  return Effect.map(
    Effect.provide(answers, reach.client),
    (found) => found ? listed([local], settings, reach) : simulated(settings),
  )
}
