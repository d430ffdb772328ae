/**
 * The reference server: `node examples/server.ts`. Its settings are environment variables: see
 * `src/layers/Settings.ts`.
 */
import { type Config, Duration, Effect, Layer, References } from "effect"
import type { HttpServerError } from "effect/http"
import { CircuitBreaker, RateLimiter } from "effect/persistence"
import process from "node:process"
import { pathToFileURL } from "node:url"
import * as LocalBreaker from "../src/layers/breaker/LocalBreaker.ts"
import * as PluginFiles from "../src/layers/PluginFiles.ts"
import * as NodeServer from "../src/layers/server/NodeServer.ts"
import * as Settings from "../src/layers/Settings.ts"
import * as MemoryRateLimiterStore from "../src/layers/sharing/MemoryRateLimiterStore.ts"
import * as NodeRedis from "../src/layers/sharing/NodeRedis.ts"
import type { ApiKeysError } from "../src/services/ApiKeys.ts"
import type { FleetError } from "../src/services/Fleet.ts"
import type { FootprintError } from "../src/services/Footprint.ts"
import type { PluginError } from "../src/services/PluginFile.ts"
import { app } from "./support/guards.ts"
import { runMain } from "./support/main.ts"
import { reach as nodeReach } from "./support/node.ts"
import * as Place from "./support/place.ts"
import { placing } from "./support/placing.ts"
import { stack } from "./support/stack.ts"

const banner = (url: string, { model, says }: Place.Place): string => `
llamero listening on ${url}
${says}

  curl ${url}/api/chat -d '{"model":"${model}","messages":[{"role":"user","content":"Why is the sky blue?"}]}'
  curl ${url}/api/tags
`

/** The stores of breakers and rate limits. With a Redis, all replicas of the router share them. */
const stores = ({ redisUrl }: Settings.Settings) => {
  if (redisUrl === "") return { circuits: CircuitBreaker.layerStoreMemory(), limits: MemoryRateLimiterStore.layer }
  const redis = NodeRedis.layer({ url: redisUrl })
  return {
    circuits: LocalBreaker.storeRedis.pipe(Layer.provide(redis)),
    limits: RateLimiter.layerStoreRedis({ prefix: "llamero:limit:" }).pipe(Layer.provide(redis)),
  }
}

const server = (settings: Settings.Settings, place: Place.Place, plugins: PluginFiles.Plugins) => {
  const choices = placing(settings)
  return NodeServer.layer(app(settings, choices.decisions), {
    host: settings.host,
    port: settings.port,
    origins: settings.origins,
    allowHeaders: [settings.sessionHeader],
    hosts: settings.hosts,
    bodyBytesMax: settings.bodyLimit,
    tenantHeader: settings.tenantHeader,
    bufferBytesMax: settings.bufferBytes,
    drainTimeout: Duration.millis(settings.drainMillis),
    stallTimeout: Duration.millis(settings.stallMillis),
  }).pipe(
    Layer.provide(stack(settings, choices, plugins, stores(settings))),
    Layer.provide(place.layer),
  )
}

const main = Effect.scoped(Effect.gen(function* () {
  const settings = yield* Settings.config
  for (const name of Settings.unknownNames(Object.keys(process.env))) console.warn(`llamero: ${name} is no setting`)
  const plugins = yield* PluginFiles.fromFiles(settings.plugins, pathToFileURL("./").href)
  const place = yield* Place.choose(settings, nodeReach(settings))
  yield* Effect.gen(function* () {
    const { url } = yield* NodeServer.NodeServer
    console.log(banner(url, place))
    yield* Effect.never
  }).pipe(
    Effect.provide(server(settings, place, plugins)),
    Effect.provideService(References.MinimumLogLevel, settings.logLevel),
  )
}))

const why = (
  error: ApiKeysError | Config.ConfigError | FleetError | FootprintError | HttpServerError.ServeError | PluginError,
): string => {
  if (error._tag === "ConfigError") return Settings.explain(error)
  if (error._tag !== "ServeError") return error.message
  const { address, code, message, port } = error.cause as NodeJS.ErrnoException & { address?: string; port?: number }
  return code === "EADDRINUSE"
    ? `${address}:${port} is in use; set LLAMERO_PORT to a free port`
    : `cannot listen: ${message}`
}

runMain(main, why)
