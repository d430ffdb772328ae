/** The program of a serverless host: the standard stack behind `{ fetch }`, without anything of Node. */
import { Layer } from "effect"
import { FetchHttpClient } from "effect/http"
import { FetchTransport, HttpOllamaApi, OllamaApp, Standard, StaticFleet, WebServer } from "llamero"
import process from "node:process"

const services = Standard.layer().pipe(
  Layer.provideMerge(StaticFleet.layer([process.env["LLAMERO_BACKENDS"] ?? "http://127.0.0.1:11434"])),
  Layer.provideMerge([FetchTransport.layer(), HttpOllamaApi.layer().pipe(Layer.provide(FetchHttpClient.layer))]),
)

export default WebServer.toFetch(OllamaApp.layer(), services)
