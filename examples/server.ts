/**
 * The reference server: `node examples/server.ts`. Its settings are environment variables: see
 * `src/layers/Settings.ts`.
 */
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import { type Config, Duration, Effect, Layer } from "effect"
import type { HttpServerError } from "effect/http"
import { CircuitBreaker, RateLimiter } from "effect/persistence"
import process from "node:process"
import * as LocalBreaker from "../src/layers/breaker/LocalBreaker.ts"
import * as LogLines from "../src/layers/server/LogLines.ts"
import type * as PluginFiles from "../src/layers/PluginFiles.ts"
import * as IdleMemory from "../src/layers/server/IdleMemory.ts"
import * as NodeMain from "../src/layers/server/NodeMain.ts"
import * as NodeServer from "../src/layers/server/NodeServer.ts"
import * as Settings from "../src/layers/Settings.ts"
import * as MemoryRateLimiterStore from "../src/layers/sharing/MemoryRateLimiterStore.ts"
import * as NodeRedis from "../src/layers/sharing/NodeRedis.ts"
import type { ApiKeysError } from "../src/services/ApiKeys.ts"
import type { FleetError } from "../src/services/Fleet.ts"
import type { FootprintError } from "../src/services/Footprint.ts"
import * as Files from "./support/files.ts"
import { app } from "./support/guards.ts"
import { reach as nodeReach } from "./support/node.ts"
import * as Place from "./support/place.ts"
import { type Placing, placing } from "./support/placing.ts"
import { exported, stack, traces } from "./support/stack.ts"

/** A few lines for people, or one line for programs. It is always shown, so it is no event of some level. */
const banner = (url: string, { model, says, simulated }: Place.Place, settings: Settings.Settings): string =>
  LogLines.formatOf(settings.logFormat, process.stdout.isTTY === true) === "json"
    ? JSON.stringify({
      time: new Date().toISOString(),
      level: "info",
      message: `llamero listening on ${url}`,
      routing: says,
      simulated,
    })
    : `
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

const server = (
  settings: Settings.Settings,
  choices: Placing,
  place: Place.Place,
  plugins: PluginFiles.Plugins,
  reach: Place.Reach,
) =>
  IdleMemory.layer().pipe(Layer.provideMerge(NodeServer.layer(app(settings, choices, place.simulated), {
    host: settings.host,
    port: settings.port,
    local: settings.localPort === 0 ? undefined : { port: settings.localPort },
    origins: settings.origins,
    allowHeaders: [settings.sessionHeader],
    hosts: settings.hosts,
    bodyBytesMax: settings.bodyLimit,
    headBytesMax: settings.headLimit,
    tenantHeader: settings.tenantHeader,
    bufferBytesMax: settings.bufferBytes,
    drainTimeout: Duration.millis(settings.drainMillis),
    stallTimeout: Duration.millis(settings.stallMillis),
  }))).pipe(
    Layer.merge(exported(settings, reach.client)),
    Layer.provide(stack(settings, choices, plugins, place.simulated, stores(settings))),
    Layer.provide(traces(settings, reach.client)),
    Layer.provide(place.layer),
  )

const main = Effect.scoped(Effect.gen(function* () {
  const settings = yield* Settings.fromEnv(process.env)
  const plugins = yield* Effect.provide(Files.checked(settings), NodeFileSystem.layer)
  const reach = nodeReach(settings)
  const place = yield* Place.choose(settings, reach, process.env)
  const choices = placing(settings)
  yield* Effect.gen(function* () {
    const { url } = yield* NodeServer.NodeServer
    console.log(banner(url, place, settings))
    yield* Effect.never
  }).pipe(
    Effect.provide(server(settings, choices, place, plugins, reach)),
    Effect.provide(LogLines.layerControlled(choices.log)),
  )
}))

type Failure =
  | ApiKeysError
  | Config.ConfigError
  | Files.FilesWrong
  | FleetError
  | FootprintError
  | HttpServerError.ServeError
  | Place.NoBackends

const why = (error: Failure): string =>
  error._tag === "ConfigError"
    ? Settings.explain(error)
    : NodeMain.explain(error, { host: "LLAMERO_HOST", port: "LLAMERO_PORT" })

NodeMain.runMain(main, { why })
