/** The reference server, from what the process was given to the banner and the end. */
import { Duration, Effect, Layer } from "effect"
import type { HttpServerError } from "effect/http"
import { CircuitBreaker, RateLimiter } from "effect/persistence"
import process from "node:process"
import * as LocalBreaker from "../../layers/breaker/LocalBreaker.ts"
import * as LogLines from "../../layers/server/LogLines.ts"
import type * as PluginFiles from "../../layers/PluginFiles.ts"
import * as IdleMemory from "../../layers/server/IdleMemory.ts"
import * as NodeServer from "../../layers/server/NodeServer.ts"
import type { Settings } from "../../layers/Settings.ts"
import * as MemoryRateLimiterStore from "../../layers/sharing/MemoryRateLimiterStore.ts"
import * as NodeRedis from "../../layers/sharing/NodeRedis.ts"
import type { ApiKeysError } from "../../services/ApiKeys.ts"
import type { FleetError } from "../../services/Fleet.ts"
import type { FootprintError } from "../../services/Footprint.ts"
import * as Configuration from "./configuration.ts"
import * as Demo from "./demo.ts"
import { app } from "./guards.ts"
import { reach as nodeReach } from "./node.ts"
import * as Place from "./place.ts"
import { type Placing, placing } from "./placing.ts"
import * as Reload from "./reload.ts"
import * as ReloadTriggers from "./reloadTriggers.ts"
import { stack, traces } from "./stack.ts"

/** The line about the status page, where a token is set. The token of a demonstration is no secret. */
const page = (url: string, { adminToken }: Settings): string => {
  if (adminToken === "") return ""
  return `\n  status page: ${url}/ui${adminToken === Demo.token ? ` (token: ${Demo.token})` : ""}\n`
}

/** A few lines for people, or one line for programs. It is always shown, so it is no event of some level. */
const banner = (url: string, { model, says, simulated }: Place.Place, settings: Settings): string =>
  LogLines.formatOf(settings.logFormat, process.stdout.isTTY === true) === "json"
    ? JSON.stringify({
      time: new Date().toISOString(),
      level: "info",
      message: `llamero listening on ${url}`,
      routing: says,
      simulated,
      page: settings.adminToken === "" ? undefined : `${url}/ui`,
    })
    : `
llamero listening on ${url}
${says}

  curl ${url}/api/chat -d '{"model":"${model}","messages":[{"role":"user","content":"Why is the sky blue?"}]}'
  curl ${url}/api/tags
${page(url, settings)}`

/** The stores of breakers and rate limits. With a Redis, all replicas of the router share them. */
const stores = ({ redisUrl }: Settings) => {
  if (redisUrl === "") return { circuits: CircuitBreaker.layerStoreMemory(), limits: MemoryRateLimiterStore.layer }
  const redis = NodeRedis.layer({ url: redisUrl })
  return {
    circuits: LocalBreaker.storeRedis.pipe(Layer.provide(redis)),
    limits: RateLimiter.layerStoreRedis({ prefix: "llamero:limit:" }).pipe(Layer.provide(redis)),
  }
}

const server = (
  settings: Settings,
  choices: Placing,
  place: Place.Place,
  plugins: PluginFiles.Plugins,
  reach: Place.Reach,
  reloading: Reload.Reloading,
) =>
  Layer.merge(IdleMemory.layer(), ReloadTriggers.layer(reloading)).pipe(
    Layer.provideMerge(NodeServer.layer(app(settings, choices, place.simulated, Reload.forOperators(reloading)), {
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
    })),
  ).pipe(
    Layer.provide(stack(settings, choices, plugins, place.simulated, stores(settings))),
    Layer.provide(traces(settings, reach.client)),
    Layer.provide(place.layer),
  )

/** All that can keep the server from its start. */
export type Failure =
  | ApiKeysError
  | Configuration.SettingsWrong
  | FleetError
  | FootprintError
  | HttpServerError.ServeError
  | Place.NoBackends

/** Serves until it is interrupted. */
export const serve = (given: Configuration.Given): Effect.Effect<never, Failure> =>
  Effect.scoped(Effect.gen(function* () {
    const configuration = yield* Configuration.open(given)
    const { plugins, read, settings, watched } = configuration
    const reach = nodeReach(settings)
    const place = yield* Place.choose(settings, reach, configuration)
    const choices = placing(settings)
    const reloading = Reload.make({ read, watched, placing: choices, place, files: reach.files })
    return yield* Effect.gen(function* () {
      const { url } = yield* NodeServer.NodeServer
      console.log(banner(url, place, settings))
      return yield* Effect.never
    }).pipe(
      Effect.provide(server(settings, choices, place, plugins, reach, reloading)),
      Effect.provide(LogLines.layerControlled(choices.log)),
    )
  }))
