/**
 * The reference server as a web handler. Run `deno serve -A --port ${PORT:-11435} examples/deno-serve.ts`, or use it on
 * any host that calls `{ fetch }`.
 */
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import { Effect, Layer } from "effect"
import { FetchHttpClient } from "effect/http"
import process from "node:process"
import * as LogLines from "../src/layers/server/LogLines.ts"
import * as WebServer from "../src/layers/server/WebServer.ts"
import * as FetchTransport from "../src/layers/transport/FetchTransport.ts"
import * as Configuration from "../src/command/serve/configuration.ts"
import { localProbe } from "../src/command/serve/gpus.ts"
import { app } from "../src/command/serve/guards.ts"
import * as Place from "../src/command/serve/place.ts"
import { placing } from "../src/command/serve/placing.ts"
import * as Reload from "../src/command/serve/reload.ts"
import * as ReloadTriggers from "../src/command/serve/reloadTriggers.ts"
import type { FleetError } from "../src/services/Fleet.ts"
import { exported, stack, traces } from "../src/command/serve/stack.ts"

/** The address to listen on comes from the command line. All other options are settings. */
const started = Effect.gen(function* () {
  const { named, plugins, read, settings, watched } = yield* Configuration.open({
    flags: {},
    env: process.env,
    demo: false,
  })
  const reach = {
    transport: FetchTransport.layer(),
    client: FetchHttpClient.layer,
    files: NodeFileSystem.layer,
    gpus: localProbe(settings.nvmlLibrary),
  }
  const place = yield* Place.choose(settings, reach, { named })
  return { settings, place, plugins, reach, read, watched }
})

const explained = Effect.catch(
  started,
  (error: Configuration.SettingsWrong | FleetError | Place.NoBackends) =>
    Effect.sync(() => {
      console.error(`llamero: ${error.message}`)
      return process.exit(1)
    }),
)

const { place, plugins, reach, read, settings, watched } = await Effect.runPromise(explained)
const format = LogLines.formatOf(settings.logFormat, process.stdout.isTTY === true)
console.log(format === "json" ? JSON.stringify({ level: "info", message: place.says }) : `llamero: ${place.says}`)

// A web handler has no listener of its own: to go on would leave the port closed without a word.
if (settings.localPort !== 0) {
  console.error("llamero: LLAMERO_LOCAL_PORT needs src/command/serve/server.ts, which opens its own listeners")
  process.exit(1)
}

const choices = placing(settings)
const reloading = Reload.make({ read, watched, placing: choices, place, files: reach.files })
const services = Layer.merge(ReloadTriggers.layer(reloading), exported(settings, reach.client)).pipe(
  Layer.provideMerge(stack(settings, choices, plugins, place.simulated)),
  Layer.provide(traces(settings, reach.client)),
  Layer.provideMerge(place.layer),
  Layer.provideMerge(LogLines.layerControlled(choices.log)),
  Layer.provideMerge(LogLines.layerOf(format, { colours: process.stdout.isTTY === true })),
)

export default WebServer.toFetch(app(settings, choices, place.simulated, Reload.forOperators(reloading)), services, {
  bodyBytesMax: settings.bodyLimit,
  origins: settings.origins,
  hosts: settings.hosts,
  allowHeaders: [settings.sessionHeader],
  tenantHeader: settings.tenantHeader,
})
