/** The reference server in this process, with its status page, in front of a simulated fleet that a test can change. */
import { Context, Effect, Exit, Layer, References, Scope } from "effect"
import { app } from "../../src/command/serve/guards.ts"
import { placing } from "../../src/command/serve/placing.ts"
import { stack } from "../../src/command/serve/stack.ts"
import type { Fleet } from "../../src/services/Fleet.ts"
import type { GpuProbe } from "../../src/services/GpuProbe.ts"
import type { Plan } from "../../src/services/Plugin.ts"
import type { OllamaApi } from "../../src/services/OllamaApi.ts"
import type { Transport } from "../../src/services/Transport.ts"
import * as StaticFleet from "../../src/layers/fleet/StaticFleet.ts"
import * as NodeServer from "../../src/layers/server/NodeServer.ts"
import * as Settings from "../../src/layers/Settings.ts"
import * as SimulatedFleet from "../../src/simulated/SimulatedFleet.ts"
import * as SimulatedGpuProbe from "../../src/simulated/SimulatedGpuProbe.ts"
import * as SimulatedOllamaApi from "../../src/simulated/SimulatedOllamaApi.ts"
import * as SimulatedTransport from "../../src/simulated/SimulatedTransport.ts"

export const token = "secret-of-operators"

/** The models that every backend has on disk. */
export const { embedder, llama31, mistral } = SimulatedFleet.Model

export interface Options {
  readonly backends?: number | undefined
  readonly models?: ReadonlyArray<SimulatedFleet.Model.SimulatedModel> | undefined
  readonly env?: Readonly<Record<string, string>> | undefined
  /** Defaults to any free port. */
  readonly port?: number | undefined
  /** Whether the page says that the fleet is simulated. Defaults to `true`. */
  readonly simulated?: boolean | undefined
  /** Prewarm plans besides those of the settings. */
  readonly plans?: ReadonlyArray<Plan> | undefined
  /** Another fleet, and how it is reached. */
  readonly place?: Layer.Layer<Fleet | GpuProbe | OllamaApi | Transport> | undefined
}

const nameOf = (index: number): string => `node-${String(index + 1).padStart(3, "0")}`

/** The URL of a backend by its number, from 0. */
export const urlOf = (index: number): string => `http://${nameOf(index)}:11434`

/** GPUs of a server: most have one, some have two. */
const gpusOf = (index: number): ReadonlyArray<"80 GiB" | "48 GiB" | "24 GiB"> =>
  index % 3 === 0 ? ["80 GiB"] : index % 3 === 1 ? ["48 GiB", "48 GiB"] : ["24 GiB"]

const place = (count: number, models: ReadonlyArray<SimulatedFleet.Model.SimulatedModel>) => {
  const all = Array.from({ length: count }, (_, index) => ({ index, url: urlOf(index), gpus: gpusOf(index) }))
  const fleet = SimulatedFleet.layer(Object.fromEntries(all.map(({ gpus, url }) => [url, {
    gpus,
    models,
    loadBandwidth: 20e9,
    prefillRate: 5000,
    decodeRate: 60,
    parallelism: 4,
  }])))
  const members = all.map(({ gpus, index, url }) => ({
    id: nameOf(index),
    url,
    parallelism: 4,
    streamsMax: 8,
    devices: gpus.map((_, gpu) => SimulatedGpuProbe.uuid(url, gpu)),
  }))
  return Layer.mergeAll(
    StaticFleet.layer(members),
    SimulatedGpuProbe.layer,
    SimulatedOllamaApi.layer,
    SimulatedTransport.layer,
  ).pipe(Layer.provideMerge(fleet))
}

/** Serves until `stop`, or until the scope closes. */
export const serve = Effect.fnUntraced(function* (options: Options = {}) {
  const settings = yield* Settings.fromEnv({
    LLAMERO_ADMIN_TOKEN: token,
    LLAMERO_DECISIONS: "200",
    LLAMERO_DRAIN_TIMEOUT: "100ms",
    LLAMERO_HEALTH_INTERVAL: "500ms",
    LLAMERO_LOG_LEVEL: "None",
    LLAMERO_VRAM: "on",
    ...options.env,
  })
  const choices = placing(settings)
  const plugins = {
    files: [],
    filters: [],
    guards: [],
    observers: [],
    plans: options.plans ?? [],
    retry: undefined,
    scorers: [],
    victims: undefined,
    picker: undefined,
  }
  const simulated = options.simulated ?? true
  const servers = place(options.backends ?? 3, options.models ?? [llama31, mistral, embedder])
  const server = NodeServer.layer(app(settings, choices, simulated), {
    port: options.port ?? 0,
    drainTimeout: "100 millis",
    tenantHeader: settings.tenantHeader,
  }).pipe(
    Layer.provide(stack(settings, choices, plugins as never, simulated)),
    Layer.provide(options.place ?? Layer.empty),
    Layer.provideMerge(servers),
  )
  const scope = yield* Scope.make()
  yield* Effect.addFinalizer(() => Scope.close(scope, Exit.void))
  const context = yield* Layer.buildWithScope(server, scope).pipe(
    Effect.provideService(References.MinimumLogLevel, "None"),
  )
  const { port, url } = Context.get(context, NodeServer.NodeServer)
  return {
    port,
    url,
    get: Context.get(context, SimulatedFleet.SimulatedFleet).get,
    stop: Scope.close(scope, Exit.void),
  }
})
