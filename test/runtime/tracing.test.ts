/** The reference servers with the settings that turn traces and metrics on: collector, backend, client on sockets. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import * as SimulatedOllamaServer from "../../src/simulated/SimulatedOllamaServer.ts"
import { decode, type Seen } from "../layers/tracing/collector.ts"
import { denoServe, prints, runtimes, start } from "../support/processes.ts"

const traceId = "0af7651916cd43dd8448eb211c80319c"
const parentId = "b7ad6b7169203331"
const chat = JSON.stringify({ model: "tiny-eos", stream: false, messages: [{ role: "user", content: "hi" }] })

interface Export {
  readonly key: string
  readonly path: string
  readonly text: string
}

/** A collector that tells the first export of traces, and the first one of metrics in which something is counted. */
const receiver = Effect.gen(function* () {
  let gotTraces: (body: Export) => void
  let gotMetrics: (body: Export) => void
  const exported = new Promise<Export>((resolve) => gotTraces = resolve)
  const counted = new Promise<Export>((resolve) => gotMetrics = resolve)
  const got = (body: Export) => {
    if (body.path !== "/v1/metrics") gotTraces(body)
    else if (body.text.includes("llamero_requests_total")) gotMetrics(body)
  }
  const server = createServer((request, response) => {
    let text = ""
    request.setEncoding("utf8").on("data", (chunk: string) => text += chunk)
    request.on("end", () => {
      response.writeHead(200, { "Content-Type": "application/json" }).end("{}")
      got({ key: String(request.headers["api-key"]), path: request.url ?? "", text })
    })
  })
  yield* Effect.acquireRelease(
    Effect.promise(() => new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))),
    () => Effect.sync(() => void server.close()),
  )
  return { counted, exported, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` }
})

describe("tracing by settings", () => {
  const servers = {
    "Node, server.ts": [...runtimes.node, "src/command/serve/server.ts"],
    "Deno, server.ts": [...runtimes.deno, "src/command/serve/server.ts"],
    "Deno, deno serve": [...denoServe, "examples/deno-serve.ts"],
  }
  for (const [name, command] of Object.entries(servers)) {
    it.live(`${name}: OTEL_EXPORTER_OTLP_ENDPOINT is enough`, () =>
      Effect.gen(function* () {
        const backend = yield* SimulatedOllamaServer.make({ loadTime: "10 millis" })
        const collector = yield* receiver
        const running = yield* start(command, {
          LLAMERO_BACKENDS: backend.url,
          LLAMERO_PORT: "0",
          LLAMERO_LOG_FORMAT: "json",
          OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
          OTEL_EXPORTER_OTLP_HEADERS: "api-key=secret",
          OTEL_RESOURCE_ATTRIBUTES: "deployment.environment.name=test",
          OTEL_BSP_SCHEDULE_DELAY: "50",
          OTEL_METRICS_EXPORTER: "otlp",
          OTEL_METRIC_EXPORT_INTERVAL: "100",
        })
        const [, url = ""] = yield* prints(running, /istening on (http:\/\/[\d.:]+)/)
        const headers = { traceparent: `00-${traceId}-${parentId}-01`, "x-request-id": "mine" }
        const answer = yield* Effect.promise(() => fetch(`${url}/api/chat`, { method: "POST", body: chat, headers }))
        assert.strictEqual(answer.status, 200)
        yield* Effect.promise(() => answer.text())
        const { key, path, text } = yield* Effect.promise(() => collector.exported)
        assert.deepStrictEqual([key, path], ["secret", "/v1/traces"])
        const { resource, spans } = decode(text)
        assert.deepInclude(resource, { "service.name": "llamero", "deployment.environment.name": "test" })
        const named = (start: string): Seen => spans.find((span) => span.name.startsWith(start))!
        const [request, call] = [named("POST /api/chat"), named("chat ")]
        assert.deepInclude(request, { traceId, parent: parentId })
        assert.strictEqual(request.attributes["llamero.request.id"], "mine")
        assert.strictEqual(call.parent, request.spanId)
        const sent = backend.server.calls.findLast((one) => one.path === "/api/chat")!.headers
        assert.include(sent, `00-${traceId}-${call.spanId}-01`)
        assert.include(sent, "mine")
        yield* prints(running, new RegExp(`"trace_id":"${traceId}"`))
        const metrics = yield* Effect.promise(() => collector.counted)
        assert.strictEqual(metrics.key, "secret")
        const [{ resource: of, scopeMetrics: [{ metrics: all }] }] = JSON.parse(metrics.text).resourceMetrics
        assert.include(JSON.stringify(of), `"deployment.environment.name"`)
        const names: ReadonlyArray<string> = all.map((metric: { readonly name: string }) => metric.name)
        assert.includeMembers([...names], ["llamero_leases", "llamero_streams", "llamero_ready"])
        assert.lengthOf(new Set(names) as never, names.length)
      }), 60_000)
  }
})
