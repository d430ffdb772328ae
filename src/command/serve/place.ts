/** Chooses the fleet: the backends in the settings, else the Ollama on this machine, else a simulated one. */
import { Effect, type FileSystem, Layer, Redacted, Schema } from "effect"
import { HttpClient } from "effect/http"
import * as ReplaceableFleet from "../../layers/fleet/ReplaceableFleet.ts"
import * as HttpGpuProbe from "../../layers/gpu/HttpGpuProbe.ts"
import * as NoGpuProbe from "../../layers/gpu/NoGpuProbe.ts"
import * as ProbedFleet from "../../layers/gpu/ProbedFleet.ts"
import { backendNames, type Settings } from "../../layers/Settings.ts"
import * as HttpOllamaApi from "../../layers/transport/HttpOllamaApi.ts"
import { backend, type Fleet, type FleetError } from "../../services/Fleet.ts"
import type { GpuProbe } from "../../services/GpuProbe.ts"
import type { OllamaApi } from "../../services/OllamaApi.ts"
import type { Transport } from "../../services/Transport.ts"
import { elsewhere, listed, named, type Source } from "./liveFleet.ts"

export interface Place {
  readonly layer: Layer.Layer<Fleet | GpuProbe | OllamaApi | Transport, FleetError>
  readonly fleet: ReplaceableFleet.ReplaceableFleet
  /** The backends of other settings; fails where they need another place, and so a restart. */
  readonly source: (settings: Settings) => Source
  /** The backends at first. */
  readonly first: Effect.Success<Source>
  /** Describes the fleet in the banner. */
  readonly says: string
  /** A model for the command in the banner. */
  readonly model: string
  /** Whether the answers are made up. */
  readonly simulated: boolean
}

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

const real = (
  source: Place["source"],
  where: string,
  settings: Settings,
  reach: Reach,
): Effect.Effect<Place, FleetError> =>
  Effect.gen(function* () {
    const first = yield* source(settings)
    const fleet = yield* ReplaceableFleet.make(first.backends)
    return {
      layer: Layer.mergeAll(
        settings.vram ? probed(fleet.layer, settings, reach) : Layer.merge(fleet.layer, NoGpuProbe.layer),
        // A transport of its own, so that control calls and streams do not share connections.
        HttpOllamaApi.layerTransport().pipe(Layer.provide(Layer.fresh(reach.transport))),
        reach.transport,
      ),
      fleet,
      source,
      first,
      says: `routing to ${where}`,
      model: "MODEL",
      simulated: false,
    }
  })

const unnamed = elsewhere("no setting names backends any more: a restart looks for an Ollama on this machine")

/** In the words of the banner. */
const whereOf = ({ backends, fleetFile, ollamaHost }: Settings): string =>
  backends.length === 0 && fleetFile !== ""
    ? `the backends in ${fleetFile}`
    : (backends.length > 0 ? backends : [ollamaHost]).map((url) => backend(url).url).join(", ")

/** The simulated Ollama is loaded only when it is used: it is a tenth of the code that the server starts with. */
const simulated = (settings: Settings, reach: Reach): Effect.Effect<Place, FleetError> =>
  Effect.flatMap(
    Effect.promise(() => import("./simulatedPlace.ts")),
    ({ place }) => place(settings, (now) => named(now, reach.files) !== undefined),
  )

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
): Effect.fn.Return<Place, FleetError | NoBackends> {
  const chosen = (now: Settings) => named(now, reach.files)
  if (chosen(settings) !== undefined) {
    return yield* real((now) => chosen(now) ?? unnamed, whereOf(settings), settings, reach)
  }
  if (yield* Effect.provide(answers, reach.client)) {
    return yield* real((now) => chosen(now) ?? listed(now, { url: local }), local, settings, reach)
  }
  const names = backendNames(env)
  if (names.length > 0) return yield* new NoBackends({ names })
  return yield* simulated(settings, reach)
})
