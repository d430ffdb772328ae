/**
 * A router as a web handler, an object `{ fetch }`, for Deno and for any other host that calls such a handler.
 *
 * Run `deno serve -A --port ${PORT:-11435} examples/06-deno-serve.ts`. Under a public name, the handler needs that name
 * in the option `hosts` of `toFetch`; otherwise it answers to local names only.
 */
import { Layer } from "effect"
import { FetchHttpClient } from "effect/http"
import { FetchTransport, HttpOllamaApi, LogLines, OllamaApp, Standard, StaticFleet, WebServer } from "llamero"
import process from "node:process"

const services = Standard.layer().pipe(
  Layer.provideMerge(StaticFleet.layer([process.env["OLLAMA_URL"] ?? "http://127.0.0.1:11434"])),
  Layer.provide(LogLines.layerOf("json")),
  Layer.provideMerge([FetchTransport.layer(), HttpOllamaApi.layer().pipe(Layer.provide(FetchHttpClient.layer))]),
)

export default WebServer.toFetch(OllamaApp.layer(), services)
