/** Over real sockets: a client, each server, a simulated Ollama on a port, and a collector on a port. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Layer, Scope } from "effect"
import { FetchHttpClient } from "effect/http"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { gunzipSync } from "node:zlib"
import * as StaticFleet from "../../../src/layers/fleet/StaticFleet.ts"
import * as NodeServer from "../../../src/layers/server/NodeServer.ts"
import * as WebServer from "../../../src/layers/server/WebServer.ts"
import * as Standard from "../../../src/layers/Standard.ts"
import * as OtlpTracing from "../../../src/layers/tracing/OtlpTracing.ts"
import * as FetchTransport from "../../../src/layers/transport/FetchTransport.ts"
import * as HttpOllamaApi from "../../../src/layers/transport/HttpOllamaApi.ts"
import * as NodeTransport from "../../../src/layers/transport/NodeTransport.ts"
import * as SimulatedOllamaServer from "../../../src/simulated/SimulatedOllamaServer.ts"
import { app } from "../server/served.ts"
import { decode as decodeJson, type Seen } from "./collector.ts"
import { decode as decodeProtobuf } from "./protobuf.ts"

const traceId = "0af7651916cd43dd8448eb211c80319c"
const parentId = "b7ad6b7169203331"
const chat = JSON.stringify({ model: "tiny-eos", messages: [{ role: "user", content: "hi" }], stream: true })

interface Export {
  readonly path: string
  readonly type: string | undefined
  readonly agent: string | undefined
  readonly body: Uint8Array
}

/** A collector that keeps the bodies of its calls. */
const receiver = Effect.gen(function* () {
  const exports: Array<Export> = []
  const server = createServer((request, response) => {
    const chunks: Array<Uint8Array> = []
    request.on("data", (chunk: Uint8Array) => chunks.push(chunk))
    request.on("end", () => {
      const raw = Buffer.concat(chunks)
      const { "content-encoding": encoding, "content-type": type, "user-agent": agent } = request.headers
      exports.push({ path: request.url ?? "", type, agent, body: encoding === "gzip" ? gunzipSync(raw) : raw })
      response.writeHead(200, { "Content-Type": "application/json" }).end("{}")
    })
  })
  yield* Effect.acquireRelease(
    Effect.promise(() => new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))),
    () => Effect.sync(() => void server.close()),
  )
  return { exports, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1/traces` }
})

/** What both encodings are decoded to. */
type Common = Pick<Seen, "from" | "name" | "parent" | "spanId" | "state" | "to" | "traceId">

type Ask = (init: RequestInit) => Promise<Response>
type Services = Layer.Layer<Standard.Provides>

const overNode = (services: Services) =>
  Effect.gen(function* () {
    const scope = yield* Scope.make()
    const context = yield* Layer.buildWithScope(
      NodeServer.layer(app, { port: 0, drainTimeout: "200 millis" }).pipe(Layer.provide(services)),
      scope,
    )
    const { url } = yield* Effect.provideContext(NodeServer.NodeServer, context)
    const ask: Ask = (init) => fetch(`${url}/api/chat`, init)
    return { ask, close: Scope.close(scope, Exit.void) }
  })

const overWeb = (services: Services) =>
  Effect.sync(() => {
    const web = WebServer.toFetch(app, services)
    const ask: Ask = (init) => web.fetch(new Request("http://llamero.local/api/chat", init))
    return { ask, close: Effect.promise(() => web.dispose()) }
  })

const cases = [
  {
    name: "NodeServer, NodeTransport, protobuf",
    open: overNode,
    transport: NodeTransport.layer(),
    options: { protocol: "http/protobuf" },
  },
  {
    name: "WebServer, FetchTransport, JSON",
    open: overWeb,
    transport: FetchTransport.layer(),
    options: {},
  },
  {
    name: "WebServer, FetchTransport, protobuf in gzip",
    open: overWeb,
    transport: FetchTransport.layer(),
    options: { compression: "gzip", protocol: "http/protobuf" },
  },
] as const

describe("a traced request", () => {
  for (const { name, open, options, transport } of cases) {
    it.live(`over sockets: ${name}`, () =>
      Effect.gen(function* () {
        const { exports, url } = yield* receiver
        const backend = yield* SimulatedOllamaServer.make({ loadTime: "20 millis" })
        const services = Standard.layer().pipe(
          Layer.provide(OtlpTracing.layer({ url, ...options })),
          Layer.provideMerge([transport, HttpOllamaApi.layer()]),
          Layer.provideMerge(StaticFleet.layer([backend.url])),
          Layer.provide(FetchHttpClient.layer),
        )
        const { ask, close } = yield* open(services as Services)
        const headers = {
          traceparent: `00-${traceId}-${parentId}-01`,
          tracestate: "v=1",
          "x-request-id": "mine",
        }
        const before = Date.now()
        const response = yield* Effect.promise(() => ask({ method: "POST", body: chat, headers }))
        assert.strictEqual(response.status, 200)
        assert.include(yield* Effect.promise(() => response.text()), `"done":true`)
        assert.strictEqual(response.headers.get("x-request-id"), "mine")
        // Spans that still wait are sent before the router has stopped.
        yield* close
        const isJson = !("protocol" in options)
        assert.isAtLeast(exports.length, 1)
        for (const { agent, path, type } of exports) {
          assert.strictEqual(path, "/v1/traces")
          assert.strictEqual(type, isJson ? "application/json" : "application/x-protobuf")
          assert.match(agent ?? "", /^OTel-OTLP-Exporter-JavaScript/)
        }
        const spans: ReadonlyArray<Common> = exports.flatMap(({ body }): ReadonlyArray<Common> =>
          isJson ? decodeJson(new TextDecoder().decode(body)).spans : decodeProtobuf(body)
        )
        const request = spans.find((span) => span.name === "POST /api/chat")!
        const call = spans.find((span) => span.name === "chat tiny-eos:latest")!
        for (const span of spans) {
          assert.deepInclude(span, { traceId, state: "v=1" })
          assert.isAtLeast(span.from, before)
          assert.isAtMost(span.to, Date.now())
          assert.isAtMost(span.from, span.to)
        }
        assert.strictEqual(request.parent, parentId)
        assert.strictEqual(call.parent, request.spanId)
        assert.strictEqual(spans.find((span) => span.name === "relay")!.parent, call.spanId)
        const sent = backend.server.calls.findLast(({ path }) => path === "/api/chat")!.headers
        const seen = (name: string) => sent[sent.findIndex((text, i) => i % 2 === 0 && text.toLowerCase() === name) + 1]
        assert.strictEqual(seen("traceparent"), `00-${traceId}-${call.spanId}-01`)
        assert.strictEqual(seen("tracestate"), "v=1")
        assert.strictEqual(seen("x-request-id"), "mine")
      }))
  }
})
