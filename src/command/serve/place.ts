/** Chooses the fleet: the backends in the settings, else the Ollama on this machine, else a simulated one. */
import { Effect, type FileSystem, Layer, Redacted, Schema } from "effect"
import { HttpClient } from "effect/http"
import * as ReplaceableFleet from "../../layers/fleet/ReplaceableFleet.ts"
import * as HttpGpuProbe from "../../layers/gpu/HttpGpuProbe.ts"
import * as NoGpuProbe from "../../layers/gpu/NoGpuProbe.ts"
import * as ProbedFleet from "../../layers/gpu/ProbedFleet.ts"
import type { Settings } from "../../layers/Settings.ts"
import * as HttpOllamaApi from "../../layers/transport/HttpOllamaApi.ts"
import { backend, type Fleet, type FleetError } from "../../services/Fleet.ts"
import type { GpuProbe } from "../../services/GpuProbe.ts"
import type { Transport } from "../../services/Transport.ts"
import { elsewhere, listed, named, type Place } from "./liveFleet.ts"

export type { Place } from "./liveFleet.ts"

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
const simulated = (settings: Settings, isNamed: (now: Settings) => boolean, why: string) =>
  Effect.flatMap(
    Effect.promise(() => import("./simulatedPlace.ts")),
    ({ place }) => place(settings, isNamed, why),
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
    return `${names}: no backends are named, and no Ollama answers on ${local}. Set LLAMERO_BACKENDS to your servers. ` +
      `To look around with a simulated Ollama, unset ${names}, or start llamero serve --demo`
  }
}

/** What was said about the fleet besides its backends. */
export interface Said {
  /** What names backends, whether it names one or none. Only where it is empty, the answers may be made up. */
  readonly named: ReadonlyArray<string>
  /** Whether the answers are to be made up. */
  readonly demo?: boolean | undefined
}

export const choose = Effect.fnUntraced(function* (
  settings: Settings,
  reach: Reach,
  { demo = false, named: names }: Said,
): Effect.fn.Return<Place, FleetError | NoBackends> {
  if (demo) return yield* simulated(settings, () => false, "this is a demonstration")
  const chosen = (now: Settings) => named(now, reach.files)
  const isNamed = (now: Settings) => chosen(now) !== undefined
  if (isNamed(settings)) return yield* real((now) => chosen(now) ?? unnamed, whereOf(settings), settings, reach)
  if (yield* Effect.provide(answers, reach.client)) {
    return yield* real((now) => chosen(now) ?? listed(now, { url: local }), local, settings, reach)
  }
  if (names.length > 0) return yield* new NoBackends({ names })
  return yield* simulated(settings, isNamed, "no Ollama found")
})
