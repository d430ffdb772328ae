/** The smallest router: one Ollama, everything else as it comes. `node examples/01-one-backend.ts`, then use port 11435 instead of 11434. */
import { Effect, Layer } from "effect"
import { FetchHttpClient } from "effect/http"
import * as HttpOllamaApi from "../src/layers/HttpOllamaApi.ts"
import * as NodeServer from "../src/layers/NodeServer.ts"
import * as NodeTransport from "../src/layers/NodeTransport.ts"
import * as OllamaApp from "../src/layers/OllamaApp.ts"
import * as Standard from "../src/layers/Standard.ts"
import * as StaticFleet from "../src/layers/StaticFleet.ts"

const server = NodeServer.layer(OllamaApp.layer()).pipe(
  Layer.provide(Standard.layer()),
  Layer.provide(NodeTransport.layer()),
  Layer.provide(HttpOllamaApi.layer()),
  Layer.provide(StaticFleet.layer(["http://127.0.0.1:11434"])),
  Layer.provide(FetchHttpClient.layer),
)

Effect.runFork(Layer.launch(server))
