/**
 * The reference server as a web handler. Run `deno serve -A --port ${PORT:-11435} examples/deno-serve.ts`, or use it on
 * any host that calls `{ fetch }`.
 */
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import { Config, Effect, Layer } from "effect"
import { FetchHttpClient } from "effect/http"
import process from "node:process"
import * as LogLines from "../src/layers/server/LogLines.ts"
import * as WebServer from "../src/layers/server/WebServer.ts"
import * as Settings from "../src/layers/Settings.ts"
import * as FetchTransport from "../src/layers/transport/FetchTransport.ts"
import { localProbe } from "./support/gpus.ts"
import * as Files from "./support/files.ts"
import { app } from "./support/guards.ts"
import * as Place from "./support/place.ts"
import { placing } from "./support/placing.ts"
import { exported, stack, traces } from "./support/stack.ts"

/** The address to listen on comes from the command line. All other options are settings. */
const started = Effect.gen(function* () {
  const settings = yield* Settings.fromEnv(process.env)
  const plugins = yield* Effect.provide(Files.checked(settings), NodeFileSystem.layer)
  const reach = {
    transport: FetchTransport.layer(),
    client: FetchHttpClient.layer,
    files: NodeFileSystem.layer,
    gpus: localProbe(settings.nvmlLibrary),
  }
  const place = yield* Place.choose(settings, reach, process.env)
  return { settings, place, plugins, reach }
})

const explained = Effect.catch(
  started,
  (error: Config.ConfigError | Files.FilesWrong | Place.NoBackends) =>
    Effect.sync(() => {
      console.error(`llamero: ${error._tag === "ConfigError" ? Settings.explain(error) : error.message}`)
      return process.exit(1)
    }),
)

const { place, plugins, reach, settings } = await Effect.runPromise(explained)
const format = LogLines.formatOf(settings.logFormat, process.stdout.isTTY === true)
console.log(format === "json" ? JSON.stringify({ level: "info", message: place.says }) : `llamero: ${place.says}`)

// A web handler has no listener of its own: to go on would leave the port closed without a word.
if (settings.localPort !== 0) {
  console.error("llamero: LLAMERO_LOCAL_PORT needs examples/server.ts, which opens its own listeners")
  process.exit(1)
}

const choices = placing(settings)
const services = exported(settings, reach.client).pipe(
  Layer.provideMerge(stack(settings, choices, plugins, place.simulated)),
  Layer.provide(traces(settings, reach.client)),
  Layer.provideMerge(place.layer),
  Layer.provideMerge(LogLines.layerControlled(choices.log)),
  Layer.provideMerge(LogLines.layerOf(format, { colours: process.stdout.isTTY === true })),
)

export default WebServer.toFetch(app(settings, choices, place.simulated), services, {
  bodyBytesMax: settings.bodyLimit,
  origins: settings.origins,
  hosts: settings.hosts,
  allowHeaders: [settings.sessionHeader],
  tenantHeader: settings.tenantHeader,
})
