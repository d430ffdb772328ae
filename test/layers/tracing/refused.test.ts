/** Requests that a server refuses before the router can take them: each leaves one span, whichever server it is. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, type Scope } from "effect"
import { HttpRouter, HttpServerResponse } from "effect/http"
import { request as httpRequest } from "node:http"
import * as StaticApiKeys from "../../../src/layers/keys/StaticApiKeys.ts"
import * as OllamaApp from "../../../src/layers/OllamaApp.ts"
import * as KeyedRoutes from "../../../src/layers/routes/KeyedRoutes.ts"
import * as NodeServer from "../../../src/layers/server/NodeServer.ts"
import * as WebServer from "../../../src/layers/server/WebServer.ts"
import * as ApiKeyGuard from "../../../src/plugins/guards/ApiKeyGuard.ts"
import type { RequestRefused } from "../../../src/services/RouterEvents.ts"
import { RouterEvents } from "../../../src/services/RouterEvents.ts"
import { type Collector, type Seen, traced } from "./collector.ts"

const traceId = "0af7651916cd43dd8448eb211c80319c"
const parentId = "b7ad6b7169203331"
const from = (flags: string) => ({ traceparent: `00-${traceId}-${parentId}-${flags}`, tracestate: "v=1" })

interface Call {
  readonly method: string
  readonly path: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
}
type Ask = (call: Call) => Promise<number>

const app = Layer.mergeAll(
  OllamaApp.layer(),
  HttpRouter.add("GET", "/broken", HttpServerResponse.empty({ status: 500 })),
  KeyedRoutes.layer({ open: ["/broken", "/livez", "/readyz"] }),
)
const options = { bodyBytesMax: 1000 }

const overWeb = Effect.map(WebServer.make(app, options), ({ fetch }): Ask => async ({ path, ...init }) => {
  const response = await fetch(new Request(`http://llamero${path}`, init))
  await response.arrayBuffer()
  return response.status
})

/** `fetch` sets `Host` itself. */
const overNode = Effect.gen(function* () {
  const server = NodeServer.layer(app, { port: 0, drainTimeout: "200 millis", headBytesMax: 2000, ...options })
  const { port } = yield* Effect.flatMap(
    Layer.build(server),
    (context) => Effect.provideContext(NodeServer.NodeServer, context),
  )
  const ask: Ask = ({ body, headers, method, path }) =>
    new Promise((done, failed) => {
      const sent = httpRequest({ port, host: "127.0.0.1", agent: false, method, path, headers: { ...headers } })
      sent.once("response", (response) => {
        response.resume().once("close", () => done(response.statusCode ?? 0))
      }).once("error", failed)
      sent.end(body)
    })
  return ask
})

const key = { authorization: "Bearer a-key" }
const keys = StaticApiKeys.layer([{ id: "mine", secret: { key: "a-key" } }])

/** What a server refuses by itself, and its span. */
const refusals: ReadonlyArray<{
  readonly says: string
  readonly call: Call
  readonly name: string
  readonly status: number
  readonly reason?: string
  readonly route?: string
  readonly path?: string
  readonly more?: Readonly<Record<string, unknown>>
}> = [
  {
    says: "a body that is no JSON",
    call: { method: "POST", path: "/api/chat?x=secret", body: "{", headers: key },
    ...{ name: "POST /api/chat", route: "/api/chat", path: "/api/chat", status: 400, reason: "BadRequest" },
  },
  {
    says: "a body without a model, on a path that asks for one",
    call: { method: "POST", path: "/v1/chat/completions", body: `{"messages":[]}`, headers: key },
    ...{ name: "POST /v1/chat/completions", route: "/v1/chat/completions", status: 400, reason: "ModelNotFound" },
  },
  {
    says: "a body without a model, on a path that looks for one",
    call: { method: "POST", path: "/api/generate", body: "{}", headers: key },
    ...{ name: "POST /api/generate", route: "/api/generate", status: 404, reason: "ModelNotFound" },
  },
  {
    says: "a body that is too long",
    call: { method: "POST", path: "/api/embed", body: JSON.stringify({ model: "m", input: "x".repeat(2000) }) },
    ...{ name: "POST /api/embed", route: "/api/embed", status: 413, reason: "BodyTooLarge" },
  },
  {
    says: "an encoding that nobody knows",
    call: { method: "POST", path: "/api/chat", body: "{}", headers: { "content-encoding": "snappy" } },
    ...{ name: "POST /api/chat", route: "/api/chat", status: 415, reason: "UnsupportedEncoding" },
  },
  {
    says: "a header that cannot be read",
    call: { method: "POST", path: "/api/chat", body: `{"model":"m"}`, headers: { "x-request-priority": "first" } },
    ...{ name: "POST /api/chat", route: "/api/chat", status: 400, reason: "BadRequest" },
  },
  {
    says: "a method that the path does not take",
    call: { method: "GET", path: "/api/chat" },
    ...{ name: "GET /api/chat", route: "/api/chat", status: 405, reason: "MethodNotAllowed" },
  },
  {
    says: "a page of another origin",
    call: { method: "POST", path: "/api/chat", body: "{}", headers: { origin: "http://elsewhere.example" } },
    ...{ name: "POST", status: 403, reason: "Forbidden" },
  },
  {
    says: "a path that nobody serves",
    call: { method: "GET", path: "/nope/at/all?token=secret", headers: key },
    ...{ name: "GET", path: "/nope/at/all", status: 404 },
  },
  {
    says: "a list without a key",
    call: { method: "GET", path: "/api/tags" },
    ...{ name: "GET", path: "/api/tags", status: 401 },
  },
  {
    says: "a method that OpenTelemetry does not know",
    call: { method: "PURGE", path: "/nope", headers: key },
    ...{ name: "HTTP", path: "/nope", status: 404 },
    more: { "http.request.method": "_OTHER", "http.request.method_original": "PURGE" },
  },
  {
    says: "a path that is very long",
    call: { method: "GET", path: `/${"y".repeat(1000)}`, headers: key },
    ...{ name: "GET", path: `/${"y".repeat(255)}`, status: 404 },
  },
]

/** Only Node's own parser lets a test send these. */
const ofNode: typeof refusals = [
  {
    says: "a name of another site",
    call: { method: "GET", path: "/api/tags", headers: { host: "elsewhere.example" } },
    ...{ name: "GET", path: "/api/tags", status: 403, reason: "Forbidden" },
  },
  {
    says: "a head that is too long",
    call: { method: "POST", path: "/api/chat", body: "{}", headers: { "x-long": "z".repeat(7000) } },
    ...{ name: "POST", path: "/api/chat", status: 431, reason: "BadRequest" },
  },
]

type Tracing = Parameters<typeof traced>[1]

/** Runs calls, and gives what the collector has got when the router has stopped. */
const after = (
  open: Effect.Effect<Ask, never, never>,
  calls: (ask: Ask) => Promise<void>,
  tracing: Tracing = {},
) =>
  Effect.gen(function* () {
    const { collector, layer } = traced({ a: {} }, tracing, { guards: [ApiKeyGuard.make()] })
    const events: Array<RequestRefused> = []
    yield* Effect.scoped(Effect.gen(function* () {
      yield* (yield* RouterEvents).subscribe((event) => {
        if (event._tag === "RequestRefused") events.push(event)
      })
      const ask = yield* open as Effect.Effect<Ask, never, Scope.Scope>
      yield* Effect.promise(() => calls(ask))
    })).pipe(Effect.provide(Layer.merge(layer, keys).pipe(Layer.provideMerge(keys))))
    return { collector, events }
  })

const servers = { "WebServer": [overWeb, refusals], "NodeServer": [overNode, [...refusals, ...ofNode]] } as const

const only = (collector: Collector): Seen => {
  assert.lengthOf(collector.spans, 1, collector.spans.map(({ name }) => name).join())
  return collector.spans[0]!
}

for (const [server, [opened, all]] of Object.entries(servers)) {
  const open = opened as unknown as Effect.Effect<Ask, never, never>
  describe(`a request that ${server} refuses`, () => {
    for (const { call, more, name, path, reason, route, says, status } of all) {
      it.live(`leaves one span: ${says}`, () =>
        Effect.gen(function* () {
          const before = Date.now()
          const headers = { ...from("01"), "x-request-id": "mine", ...call.headers }
          const { collector, events } = yield* after(open, async (ask) => {
            assert.strictEqual(await ask({ ...call, headers }), status)
          })
          const span = only(collector)
          assert.deepInclude(span, { name, kind: 2, traceId, parent: parentId, state: "v=1", links: [], events: [] })
          assert.notStrictEqual(span.spanId, parentId)
          assert.strictEqual(span.status, 0, "an error of the client is none of the server")
          assert.isAtLeast(span.from, before)
          assert.isAtMost(span.to, Date.now())
          assert.deepStrictEqual(span.attributes, {
            "http.request.method": call.method,
            ...more,
            ...(route === undefined ? {} : { "http.route": route }),
            "url.path": path ?? call.path,
            "http.response.status_code": status,
            "llamero.request.id": "mine",
            "llamero.result": "refused",
            ...(reason === undefined ? {} : { "llamero.refusal": reason }),
          })
          assert.notInclude(JSON.stringify(events.map(({ trace: _, ...event }) => event)), "secret")
          assert.lengthOf(events, 1)
        }))
    }

    it.live("begins a trace of its own where the client has none, or one that is not valid", () =>
      Effect.gen(function* () {
        for (const headers of [{}, { traceparent: "00-nonsense" }]) {
          const { collector } = yield* after(
            open,
            async (ask) => void await ask({ method: "GET", path: "/x", headers }),
          )
          const { parent, traceId: made } = only(collector)
          assert.isUndefined(parent)
          assert.match(made, /^[\da-f]{32}$/)
          assert.notStrictEqual(made, traceId)
        }
      }))

    it.live("is not exported where it was not chosen, but for faults of the server", () =>
      Effect.gen(function* () {
        const calls = async (ask: Ask) => {
          assert.strictEqual(await ask({ method: "POST", path: "/api/chat", body: "{", headers: from("00") }), 400)
          assert.strictEqual(await ask({ method: "GET", path: "/nope", headers: key }), 404)
          assert.strictEqual(await ask({ method: "DELETE", path: "/api/delete", headers: key }), 403)
        }
        const off = yield* after(open, calls, { sampler: "always_off" })
        assert.deepStrictEqual([off.collector.asked, off.events.length], [0, 3])
        const broken = (errors: boolean) =>
          after(open, async (ask) => {
            assert.strictEqual(await ask({ method: "GET", path: "/broken", headers: from("00") }), 500)
          }, { errors, sampler: "parentbased_always_off" })
        const span = only((yield* broken(true)).collector)
        assert.deepInclude(span, { name: "GET", traceId, parent: parentId, status: 2 })
        assert.strictEqual(span.attributes["error.type"], "500")
        assert.lengthOf((yield* broken(false)).collector.spans, 0)
      }))

    it.live("has no span for an answer that is none of a refusal", () =>
      Effect.gen(function* () {
        const { collector, events } = yield* after(open, async (ask) => {
          assert.strictEqual(await ask({ method: "GET", path: "/livez" }), 200)
          assert.strictEqual(await ask({ method: "GET", path: "/api/version", headers: key }), 200)
          assert.oneOf(await ask({ method: "GET", path: "/readyz" }), [200, 503])
        })
        assert.deepStrictEqual([collector.spans.map(({ name }) => name), events], [[], []])
      }))

    it.live("that the router itself refuses has the router's span, and no second one", () =>
      Effect.gen(function* () {
        const { collector, events } = yield* after(open, async (ask) => {
          const body = JSON.stringify({ model: "tiny-eos", messages: [] })
          assert.strictEqual(await ask({ method: "POST", path: "/api/chat", body, headers: from("01") }), 401)
        })
        assert.strictEqual(collector.one("POST /api/chat").attributes["llamero.refusal"], "Unauthorized")
        assert.deepInclude(collector.one("POST /api/chat"), { parent: parentId, traceId })
        assert.lengthOf(events, 0)
      }))
  })
}
