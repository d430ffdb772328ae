import { assert, describe, it } from "@effect/vitest"
import { Effect, type Scope } from "effect"
import { createServer } from "node:net"
import * as NodeTransport from "../../../src/layers/transport/NodeTransport.ts"
import { backend } from "../../../src/services/Fleet.ts"
import { Transport } from "../../../src/services/Transport.ts"
import * as Contract from "../../../src/testing/contracts/Transport.ts"
import { RecordingSink as Heard, until } from "../../../src/testing/sinks.ts"
import { holds } from "../../support/checks.ts"
import { bytes } from "../../wire/support.ts"
import { behave } from "../server/sockets.ts"

holds(
  "NodeTransport is a Transport",
  Contract.contract({ layer: NodeTransport.layer({ connectMillis: 1000 }), behave }),
)

describe("NodeTransport", () => {
  const live = <E>(title: string, body: () => Effect.Effect<void, E, Transport | Scope.Scope>) =>
    it.live(title, () => Effect.provide(body(), NodeTransport.layer()))
  live("names the backend as the host, and adds nothing to the headers but a length", () =>
    Effect.gen(function* () {
      const driven = yield* behave("whole")
      const transport = yield* Transport
      const heard = new Heard()
      transport.send(
        driven.backend,
        { method: "POST", path: "/api/chat", headers: ["X-A", "1"], body: bytes("{}") },
        heard,
      )
      yield* until(() => heard.ended)
      const sent = driven.headers[0]!.map((part) => part.toLowerCase())
      assert.deepStrictEqual(sent, [
        "host",
        driven.backend.url.slice("http://".length),
        "connection",
        "keep-alive",
        "x-a",
        "1",
        "content-length",
        "2",
      ])
    }))

  live("says Protocol when what answers does not speak HTTP", () =>
    Effect.gen(function* () {
      const server = createServer((socket) => {
        socket.on("error", () => {})
        socket.once("data", () => socket.end("220 mail ready\r\n"))
      })
      const port = yield* Effect.promise(() =>
        new Promise<number>((resolve) =>
          server.listen(0, "127.0.0.1", () => {
            const address = server.address()
            resolve(typeof address === "object" && address !== null ? address.port : 0)
          })
        )
      )
      const transport = yield* Transport
      const heard = new Heard()
      transport.send(
        backend(`http://127.0.0.1:${port}`),
        { method: "POST", path: "/", headers: [], body: bytes("{}") },
        heard,
      )
      yield* until(() => heard.ended)
      assert.strictEqual(heard.error?.reason, "Protocol")
      server.close()
    }))

  live("says how much of a body the backend has not taken", () =>
    Effect.gen(function* () {
      const server = createServer((socket) => {
        socket.pause()
        socket.on("error", () => {})
      })
      const port = yield* Effect.acquireRelease(
        Effect.promise(() =>
          new Promise<number>((resolve) =>
            server.listen(0, "127.0.0.1", () => {
              const address = server.address()
              resolve(typeof address === "object" && address !== null ? address.port : 0)
            })
          )
        ),
        () => Effect.sync(() => server.close()),
      )
      const transport = yield* Transport
      const heard = new Heard()
      const body = new Uint8Array(48 * 1024 * 1024)
      transport.send(backend(`http://127.0.0.1:${port}`), { method: "POST", path: "/", headers: [], body }, heard)
      yield* until(() => heard.upstream!.unsent!() < body.length, "the first bytes")
      assert.isAbove(heard.upstream!.unsent!(), 0)
      heard.upstream!.abort()
    }))

  live("sends a large body whole, with its length", () =>
    Effect.gen(function* () {
      const driven = yield* behave("whole")
      const transport = yield* Transport
      const heard = new Heard()
      const body = new Uint8Array(3 * 1024 * 1024 + 17).map((_, i) => i % 251)
      transport.send(driven.backend, { method: "POST", path: "/api/chat", headers: ["X-A", "1"], body }, heard)
      yield* until(() => heard.ended)
      assert.strictEqual(heard.status, 200)
      assert.deepStrictEqual(Buffer.compare(driven.received(), body), 0)
      assert.include(driven.headers[0]!.map((part) => part.toLowerCase()).join(), `content-length,${body.length}`)
      assert.notInclude(driven.headers[0]!.map((part) => part.toLowerCase()), "transfer-encoding")
      assert.strictEqual(heard.upstream!.unsent!(), 0)
    }))

  live("blames no backend for a call that cannot be sent", () =>
    Effect.gen(function* () {
      const driven = yield* behave("whole")
      const transport = yield* Transport
      const heard = new Heard()
      const call = { method: "POST", path: "/api/chat", headers: ["X-A", "a\nb"], body: bytes("{}") }
      transport.send(driven.backend, call, heard)
      yield* until(() => heard.ended)
      assert.strictEqual(heard.error?.reason, "Invalid")
    }))

  live("puts the backend's path in front", () =>
    Effect.gen(function* () {
      const driven = yield* behave("whole")
      const transport = yield* Transport
      const heard = new Heard()
      const prefixed = backend(`${driven.backend.url}/behind/a/path/`)
      transport.send(prefixed, { method: "GET", path: "/api/ps", headers: [], body: undefined }, heard)
      yield* until(() => heard.ended)
      assert.strictEqual(heard.status, 200)
    }))
})
