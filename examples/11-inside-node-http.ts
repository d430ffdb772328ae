/**
 * A router inside another HTTP server, under the path `/ai`. Here that server is plain node:http. In Hono it is one
 * line: `app.mount("/ai", router.fetch)`. The GPU is simulated.
 *
 * Run `node examples/11-inside-node-http.ts`.
 */
import { Layer } from "effect"
import * as L from "llamero"
import { SimulatedFleet, SimulatedOllamaApi, SimulatedTransport } from "llamero/simulated"
import { createServer } from "node:http"
import process from "node:process"
import { Readable } from "node:stream"

const url = "http://gpu-1:11434"
const services = L.Standard.layer().pipe(
  Layer.provideMerge(
    Layer.mergeAll(SimulatedTransport.layer, SimulatedOllamaApi.layer, L.StaticFleet.layer([url])),
  ),
  Layer.provide(SimulatedFleet.layer({ [url]: {} })),
  Layer.provide(L.LogLines.layerOf("pretty")),
)
const router = L.WebServer.toFetch(L.OllamaApp.layer(), services)

const server = createServer(async (incoming, outgoing) => {
  const path = incoming.url ?? "/"
  if (!path.startsWith("/ai/")) return void outgoing.writeHead(404).end("the router is under /ai\n")
  const leave = new AbortController()
  outgoing.once("close", () => leave.abort()) // When the client leaves, the generation stops.
  const response = await router.fetch(
    new Request(`http://${incoming.headers.host}${path.slice(3)}`, {
      method: incoming.method ?? "GET",
      headers: Object.entries(incoming.headers).flatMap(([name, value]) =>
        value === undefined ? [] : [[name, String(value)]]
      ),
      ...(incoming.method === "GET" || incoming.method === "HEAD"
        ? {}
        : { body: Readable.toWeb(incoming), duplex: "half" }),
      signal: leave.signal,
    } as RequestInit),
  )
  outgoing.writeHead(response.status, Object.fromEntries(response.headers))
  if (response.body === null) return void outgoing.end()
  for await (const chunk of response.body) {
    if (!outgoing.write(chunk)) await new Promise((done) => outgoing.once("drain", done))
  }
  outgoing.end()
})
const port = Number(process.env["PORT"] || 11436)
server.once("error", ({ message }) => {
  console.error(`${message}; set PORT to a free port`)
  process.exit(1)
})
server.listen(port, "127.0.0.1", () => console.log("listening on", server.address()))
process.once("SIGTERM", () => server.close(() => router.dispose().then(() => process.exit(0))))
