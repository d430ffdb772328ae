import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { HttpRouter } from "effect/http"
import * as FallbackRoutes from "../../../src/layers/routes/FallbackRoutes.ts"
import * as Respond from "../../../src/layers/routes/respond.ts"
import * as NodeServer from "../../../src/layers/server/NodeServer.ts"
import * as WebServer from "../../../src/layers/server/WebServer.ts"
import type { ReplySink } from "../../../src/services/Reply.ts"
import type { RoutedRequest } from "../../../src/services/RoutedRequest.ts"
import type { Settled } from "../../../src/services/Router.ts"
import { until } from "../../../src/testing/sinks.ts"
import { answered, bytes, router, Told } from "../../wire/support.ts"
import * as Raw from "./raw.ts"

const ok = (request: RoutedRequest, reply: ReplySink): Effect.Effect<Settled> =>
  Effect.sync(() => {
    reply.open(new Told())
    reply.head(200, ["Content-Type", "text/plain"])
    reply.data(bytes(request.endpoint.path))
    reply.end()
    return answered
  })

const app = Layer.mergeAll(
  HttpRouter.use((http) =>
    http.addAll([
      ...Respond.on(["HEAD", "GET"], "/", Respond.json("root")),
      ...Respond.on(["HEAD", "GET"], "/api/version", Respond.json("version")),
      ...Respond.on(["POST"], "/api/show", Respond.json("show")),
      ...Respond.on(["GET"], "/v1/models", Respond.json("models")),
      ...Respond.on(
        ["GET"],
        "/v1/models/:model",
        Effect.map(HttpRouter.params, ({ model }) => Respond.json(`model ${model}`)),
      ),
      ...Respond.on(["HEAD", "POST"], "/api/blobs/:digest", Respond.json("blob")),
    ])
  ),
  FallbackRoutes.layer,
)

/**
 * What a client that follows redirects finally gets from Ollama 0.33: read from the sources of Go 1.26's `ServeMux`,
 * gin 1.10 and Ollama's list of routes.
 */
const cases: ReadonlyArray<readonly [request: string, status: number, body: string]> = [
  ["POST /api/chat", 200, "/api/chat"],
  ["POST /api/chat/", 200, "/api/chat"],
  ["POST //api/chat", 200, "/api/chat"],
  ["POST //v1/embeddings", 200, "/v1/embeddings"],
  ["POST /api//chat", 200, "/api/chat"],
  ["POST /v1//chat///completions/?a=b", 200, "/v1/chat/completions"],
  ["POST /api%2Fchat", 200, "/api/chat"],
  ["POST /%61pi/generate", 200, "/api/generate"],
  ["POST //v1/messages/", 200, "/v1/messages"],
  ["POST /API/chat", 404, "404 page not found"],
  ["POST /api/Chat", 404, "404 page not found"],
  ["POST /api/chat/x", 404, "404 page not found"],
  ["GET /api/chat", 405, "405 method not allowed"],
  ["HEAD /api/chat", 405, ""],
  ["GET //api/chat", 405, "405 method not allowed"],
  ["GET /api/chat/", 404, "404 page not found"],
  ["PUT //api/chat/", 404, "404 page not found"],
  ["GET /api/version", 200, "version"],
  ["GET /api/version/", 200, "version"],
  ["HEAD //api//version/", 200, ""],
  ["GET /API/VERSION", 404, "404 page not found"],
  ["GET /api/Version", 404, "404 page not found"],
  ["POST /api/version", 405, "405 method not allowed"],
  ["POST /api/version/", 404, "404 page not found"],
  ["POST /api/show/", 200, "show"],
  ["POST //api/show", 200, "show"],
  ["GET /api/show/", 404, "404 page not found"],
  ["GET //", 200, "root"],
  ["GET /?a=b", 200, "root"],
  ["GET /v1/models/", 200, "models"],
  ["GET /v1/models/x", 200, "model x"],
  ["GET /v1/models/X", 200, "model X"],
  ["GET /v1/models/x/", 200, "model x"],
  ["GET /v1/models/llama3.1:8b?a=b", 200, "model llama3.1:8b"],
  ["GET /v1/models/llama3.1%3A8b", 200, "model llama3.1:8b"],
  ["GET /v1/models/a%20b", 200, "model a b"],
  ["GET /v1/models/a%253Ab", 200, "model a%3Ab"],
  ["GET /v1/models/library/x", 404, "404 page not found"],
  ["GET /v1/models/library%2Fx", 404, "404 page not found"],
  ["POST /v1/models/x", 405, "405 method not allowed"],
  ["POST /api/blobs/sha256:00", 200, "blob"],
  ["POST /api/blobs/sha256:00/", 200, "blob"],
  ["POST /api/blobs/", 404, "404 page not found"],
  ["POST /api/blobs/a/b", 404, "404 page not found"],
  ["GET /api/blobs/a", 405, "405 method not allowed"],
]

describe("paths as Ollama takes them", () => {
  it.live("NodeServer", () =>
    Effect.gen(function* () {
      const made = router(ok)
      const built = yield* Layer.build(NodeServer.layer(app, { port: 0 }).pipe(Layer.provide(made.layer)))
      const server = yield* Effect.provideContext(NodeServer.NodeServer, built)
      // Not with `fetch`, which changes some paths before it sends them.
      const more: typeof cases = [
        ["POST /./api/chat", 200, "/api/chat"],
        ["POST /x/../api/chat", 200, "/api/chat"],
        ["GET /./api/version", 200, "version"],
        ["POST /api/%2e/chat", 404, "404 page not found"],
        ["POST /%2Fapi/chat", 404, "404 page not found"],
        ["GET /%2Fapi/version", 404, "404 page not found"],
        ["GET http://other//api/version/", 200, "version"],
        ["POST http://other/api/chat/", 200, "/api/chat"],
      ]
      for (const [request, status, body] of [...cases, ...more]) {
        const raw = yield* Raw.open(server.port)
        const sent = request.includes("POST") ? `{"model":"x","messages":[]}` : ""
        raw.write(
          `${request} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: ${sent.length}\r\n\r\n${sent}`,
        )
        yield* until(() => raw.closed(), request)
        assert.match(raw.received(), new RegExp(`^HTTP/1\\.1 ${status} `), request)
        assert.include(raw.received().slice(raw.received().indexOf("\r\n\r\n")), body, request)
      }
    }))

  it.live("WebServer", () =>
    Effect.gen(function* () {
      const made = router(ok)
      const web = yield* Effect.acquireRelease(
        Effect.sync(() => WebServer.toFetch(app, made.layer)),
        (web) => Effect.promise(() => web.dispose()),
      )
      for (const [request, status, body] of cases) {
        const [method = "", path = ""] = request.split(" ")
        const init = method === "POST" ? { method, body: `{"model":"x","messages":[]}` } : { method }
        const response = yield* Effect.promise(() => web.fetch(new Request(`http://localhost${path}`, init)))
        assert.strictEqual(response.status, status, request)
        assert.strictEqual(yield* Effect.promise(() => response.text()), method === "HEAD" ? "" : body, request)
      }
    }))
})
