/**
 * The smallest router: one Ollama server, and defaults for all other parts.
 *
 * Run `node examples/01-one-backend.ts`, then point your client at port 11435 instead of 11434.
 */
import { Layer } from "effect"
import { FetchHttpClient } from "effect/http"
import { HttpOllamaApi, OllamaApp, Standard, StaticFleet } from "llamero"
import * as NodeMain from "llamero/layers/server/NodeMain"
import * as NodeServer from "llamero/layers/server/NodeServer"
import * as NodeTransport from "llamero/layers/transport/NodeTransport"
import process from "node:process"

const server = NodeServer.layer(OllamaApp.layer(), { port: Number(process.env["PORT"] || 11435) }).pipe(
  Layer.provide(Standard.layer()),
  Layer.provide([NodeTransport.layer(), HttpOllamaApi.layer(), StaticFleet.layer(["http://127.0.0.1:11434"])]),
  Layer.provide(FetchHttpClient.layer),
)

NodeMain.runMain(Layer.launch(server))
