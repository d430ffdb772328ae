/**
 * A fleet of simulated Ollama servers: the same scheduler, memory, errors and bytes as real ones, without GPUs, on
 * Effect's `Clock`.
 *
 * **Example** (two servers, one of which refuses its next request)
 *
 * ```ts
 * import { Effect, Layer } from "effect"
 * import * as SimulatedFleet from "./SimulatedFleet.ts"
 * import * as SimulatedTransport from "./SimulatedTransport.ts"
 *
 * const fleet = SimulatedFleet.layer({
 *   "http://a:11434": { gpus: ["80 GiB"], models: [SimulatedFleet.Model.llama31], decodeRate: 100 },
 *   "http://b:11434": { parallelism: 4 }
 * })
 *
 * const program = Effect.gen(function*() {
 *   const { get } = yield* SimulatedFleet.SimulatedFleet
 *   get("http://b:11434").script(SimulatedFleet.Fault.refuse, { path: "/api/chat", times: 1 })
 * })
 *
 * Effect.runFork(program.pipe(Effect.provide(SimulatedTransport.layer.pipe(Layer.provideMerge(fleet)))))
 * ```
 *
 * @since 0.1.0
 */
import { Clock, Context, Effect, Layer, type Scope } from "effect"
import { embedder, llama31, mistral } from "./models/model.ts"
import { gpusOf, SimulatedGpu } from "./scheduler/gpu.ts"
import { SimulatedServer } from "./server.ts"
import { type ServerOptions, settings } from "./settings.ts"

export type { CallRecord } from "./http/reply.ts"
/**
 * The faults that `SimulatedServer.script` takes.
 *
 * @category faults
 * @since 0.1.0
 */
export * as Fault from "./faults/faults.ts"
/**
 * Models for a server's disk, and constructors for more.
 *
 * @category models
 * @since 0.1.0
 */
export * as Model from "./models/model.ts"
export { SimulatedGpu }
export type { Resident } from "./scheduler/resident.ts"
export { SimulatedServer } from "./server.ts"
export type { ServerOptions } from "./settings.ts"

const key = "llamero/simulated/SimulatedFleet"
const Base: Context.ServiceClass<SimulatedFleet, typeof key, Service> = Context.Service<SimulatedFleet, Service>()(key)

/**
 * The simulated servers, by URL. It is also the handle of a test: each server has its faults, its state and its call
 * log.
 *
 * @category services
 * @since 0.1.0
 */
export class SimulatedFleet extends Base {}

/** The members of `SimulatedFleet`. @category services @since 0.1.0 */
export interface Service {
  readonly servers: ReadonlyMap<string, SimulatedServer>
  /** The server of a URL. A `RangeError` if there is none. */
  readonly get: (url: string) => SimulatedServer
}

/**
 * An A100 with 80 GB and the speeds of one. On its disk: an 8B and a 7B chat model and a 1.5B embedding model.
 *
 * @category options
 * @since 0.1.0
 */
export const a100: ServerOptions = {
  // Ollama's default on such a card, 128k, would leave no room for a second model.
  contextLength: 8192,
  models: [llama31, mistral, embedder],
  gpus: ["80 GiB"],
  loadBandwidth: 2e9,
  loadTime: "1 second",
  releaseTime: "300 millis",
  overhead: "1 milli",
  prefillRate: 4000,
  decodeRate: 100,
  parallelism: 4,
}

/**
 * Makes one simulated server, which lives as long as the scope. Servers that are made with the same `shared` map share
 * the GPUs that have the same UUID (`gpuUuids`).
 *
 * @category constructors
 * @since 0.1.0
 */
export const makeServer: (
  url: string,
  options?: ServerOptions,
  shared?: Map<string, SimulatedGpu>,
) => Effect.Effect<SimulatedServer, never, Scope.Scope> = Effect.fnUntraced(function* (url, options, shared) {
  const made = settings(options ?? {})
  const gpus = gpusOf(made, shared ?? new Map())
  const context = yield* Effect.context<never>()
  const clock = yield* Clock.Clock
  return yield* Effect.acquireRelease(
    Effect.sync(() => new SimulatedServer(url.replace(/\/+$/, ""), made, gpus, context, clock)),
    (server) => Effect.sync(() => server.down()),
  )
})

/**
 * A fleet of simulated servers, from their options by URL.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (servers: Readonly<Record<string, ServerOptions>>): Layer.Layer<SimulatedFleet> =>
  Layer.effect(
    SimulatedFleet,
    Effect.gen(function* () {
      const made = new Map<string, SimulatedServer>()
      const shared = new Map<string, SimulatedGpu>()
      for (const [url, options] of Object.entries(servers)) {
        const server = yield* makeServer(url, options, shared)
        made.set(server.url, server)
      }
      return SimulatedFleet.of({
        servers: made,
        get: (url) => {
          const server = made.get(url.replace(/\/+$/, ""))
          if (server === undefined) throw new RangeError(`SimulatedFleet.get: no server at ${url}`)
          return server
        },
      })
    }),
  )
