/** Credentials and certificates of backends, on real sockets. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { FetchHttpClient } from "effect/http"
import { readFileSync } from "node:fs"
import { createServer } from "node:https"
import type { AddressInfo } from "node:net"
import * as FetchTransport from "../../../src/layers/transport/FetchTransport.ts"
import * as HttpOllamaApi from "../../../src/layers/transport/HttpOllamaApi.ts"
import * as NodeTransport from "../../../src/layers/transport/NodeTransport.ts"
import { type Backend, backend } from "../../../src/services/Fleet.ts"
import { OllamaApi } from "../../../src/services/OllamaApi.ts"
import { Transport } from "../../../src/services/Transport.ts"
import * as SimulatedOllamaServer from "../../../src/simulated/SimulatedOllamaServer.ts"
import { RecordingSink, until } from "../../../src/testing/sinks.ts"
import { answer, rawBackend } from "../../support/rawBackend.ts"

const post = (backend: Backend, headers: ReadonlyArray<string> = [], length = 2) =>
  Effect.gen(function* () {
    const transport = yield* Transport
    const sink = new RecordingSink()
    transport.send(backend, { method: "POST", path: "/api/chat", headers, body: new Uint8Array(length) }, sink)
    yield* until(() => sink.ended)
    return sink
  })

const transports = { NodeTransport: NodeTransport.layer(), FetchTransport: FetchTransport.layer() }

for (const [name, layer] of Object.entries(transports)) {
  it.live(`${name} sends what the backend asks for, in place of what the client sent`, () =>
    Effect.gen(function* () {
      const raw = yield* rawBackend(({ socket }) => void socket.write(answer("{}")))
      const guarded = backend({ url: raw.backend.url.replace("//", "//u:p@"), headers: { "X-Org": "ours" } })
      for (const length of [2, 400_000]) {
        assert.strictEqual(
          (yield* post(guarded, ["Authorization", "Bearer client", "X-Org", "theirs"], length)).status,
          200,
        )
        const { head } = raw.requests.at(-1)!
        assert.match(head, /authorization: Basic dTpw/i)
        assert.match(head, /x-org: ours/i)
        assert.notMatch(head, /client|theirs/)
      }
    }).pipe(Effect.provide(layer)))
}

describe("control calls", () => {
  const apis = {
    "over NodeTransport": HttpOllamaApi.layerTransport().pipe(Layer.provide(NodeTransport.layer())),
    "over FetchTransport": HttpOllamaApi.layerTransport().pipe(Layer.provide(FetchTransport.layer())),
    "over fetch": HttpOllamaApi.layer().pipe(Layer.provide(FetchHttpClient.layer)),
  }
  for (const [name, layer] of Object.entries(apis)) {
    it.live(`send what the backend asks for, all of them: ${name}`, () =>
      Effect.gen(function* () {
        const { url } = yield* SimulatedOllamaServer.make({
          credentials: { authorization: "Bearer geheim", "x-key": "second" },
        })
        const api = yield* OllamaApi
        const guarded = backend({ url, token: "geheim", headers: { "X-Key": "second" } })
        assert.match(yield* api.version(guarded), /^0\./)
        assert.isAbove((yield* api.tags(guarded)).length, 0)
        yield* api.show(guarded, "tiny-eos")
        yield* api.load(guarded, "tiny-eos", { embedder: false })
        assert.strictEqual((yield* api.ps(guarded)).length, 1)
        yield* api.unload(guarded, "tiny-eos", { embedder: false })
        for (const without of [backend(url), backend({ url, token: "wrong" })]) {
          const { message, reason } = yield* Effect.flip(api.version(without))
          assert.strictEqual(reason._tag === "Rejected" && reason.status, 401)
          assert.notMatch(message, /geheim|second|wrong/)
        }
      }).pipe(Effect.provide(layer)))

    it.live(`survive a pooled connection that the backend has closed: ${name}`, () =>
      Effect.gen(function* () {
        const raw = yield* rawBackend(({ socket, turn }) =>
          turn === 1 ? void socket.write(answer(`{"version":"1","models":[]}`)) : void socket.resetAndDestroy()
        )
        const api = yield* OllamaApi
        for (let i = 0; i < 6; i++) {
          assert.strictEqual(yield* api.version(raw.backend), "1")
          yield* api.load(raw.backend, "m", { embedder: false })
        }
      }).pipe(Effect.provide(layer)))
  }

  it.live("say whether the connection was refused", () =>
    Effect.gen(function* () {
      const api = yield* OllamaApi
      const { reason } = yield* Effect.flip(api.version(backend("http://127.0.0.1:1")))
      assert.deepInclude(reason, { _tag: "Unreachable", refused: true })
    }).pipe(Effect.provide(apis["over NodeTransport"])))
})

const fixture = (name: string) => readFileSync(`test/fixtures/tls/${name}.pem`, "utf8")

/** A server whose certificate only the authority in the fixtures has signed. */
const secure = Effect.map(
  Effect.acquireRelease(
    Effect.promise(() =>
      new Promise<ReturnType<typeof createServer>>((resolve) => {
        const key = readFileSync("test/fixtures/tls/server.key")
        const server = createServer({ key, cert: fixture("server") }, (request, response) => {
          request.resume().on("end", () => response.end(`{"version":"9"}`))
        })
        server.listen(0, "127.0.0.1", () => resolve(server))
      })
    ),
    (server) =>
      Effect.sync(() => {
        server.close()
        server.closeAllConnections()
      }),
  ),
  (server) => `https://127.0.0.1:${(server.address() as AddressInfo).port}`,
)

describe("a backend with a certificate of a private authority", () => {
  it.live("is not trusted without that authority, and the failure is no reset", () =>
    Effect.gen(function* () {
      const { error } = yield* post(backend(yield* secure))
      assert.strictEqual(error?.reason, "Refused")
      assert.match(error?.description ?? "", /certificate/)
    }).pipe(Effect.provide(NodeTransport.layer())))

  it.live("is trusted with the authority for all backends", () =>
    Effect.gen(function* () {
      const url = yield* secure
      assert.strictEqual((yield* post(backend(url))).status, 200)
      assert.strictEqual((yield* post(backend(url))).status, 200)
    }).pipe(Effect.provide(NodeTransport.layer({ ca: fixture("ca") }))))

  it.live("is trusted with an authority of its own, by control calls too, and not when that is gone", () =>
    Effect.gen(function* () {
      const url = yield* secure
      const mine = backend({ url, ca: fixture("ca"), token: "geheim" })
      assert.strictEqual((yield* post(mine)).status, 200)
      assert.strictEqual(yield* (yield* OllamaApi).version(mine), "9")
      assert.strictEqual((yield* post(backend(url))).error?.reason, "Refused")
    }).pipe(
      Effect.provide(HttpOllamaApi.layerTransport().pipe(Layer.provideMerge(NodeTransport.layer()))),
    ))
})

for (const [name, layer] of Object.entries(transports)) {
  it.live(`${name} tells how many bytes came from each backend`, () =>
    Effect.gen(function* () {
      const { received } = yield* Transport
      const raw = yield* rawBackend(({ socket }) => {
        socket.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
      })
      const other = yield* rawBackend(() => {})
      const sink = new RecordingSink()
      const transport = yield* Transport
      assert.strictEqual(received!(raw.backend), 0)
      transport.send(raw.backend, { method: "POST", path: "/", headers: [], body: new Uint8Array(2) }, sink)
      yield* until(() => sink.chunks.length === 1)
      const first = received!(raw.backend)
      assert.isAtLeast(first, 3)
      raw.requests[0]!.socket.write("4\r\ndefg\r\n")
      yield* until(() => sink.chunks.length === 2)
      assert.isAtLeast(received!(raw.backend), first + 4)
      assert.strictEqual(received!(other.backend), 0)
      sink.upstream!.abort()
    }).pipe(Effect.provide(layer)))
}
