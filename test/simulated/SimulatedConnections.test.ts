/** What a simulated Ollama on a port does with its connections and heads, and that the router takes it. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { connect } from "node:net"
import * as NodeTransport from "../../src/layers/transport/NodeTransport.ts"
import { type Backend, backend } from "../../src/services/Fleet.ts"
import { Transport } from "../../src/services/Transport.ts"
import { Fault } from "../../src/simulated/SimulatedFleet.ts"
import * as SimulatedOllamaServer from "../../src/simulated/SimulatedOllamaServer.ts"
import { RecordingSink, until } from "../../src/testing/sinks.ts"

const version = "GET /api/version HTTP/1.1\r\nHost: localhost\r\n\r\n"

/** A client that writes bytes and keeps what comes back. */
const open = (url: string) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const raw = { received: "", closed: false, socket: connect(Number(new URL(url).port), "127.0.0.1") }
      raw.socket.on("error", () => {})
      raw.socket.on("data", (chunk: Uint8Array) => raw.received += Buffer.from(chunk).toString("latin1"))
      raw.socket.on("close", () => raw.closed = true)
      return raw
    }),
    ({ socket }) => Effect.sync(() => socket.destroy()),
  )

const ask = (backend: Backend) =>
  Effect.gen(function* () {
    const transport = yield* Transport
    const sink = new RecordingSink()
    transport.send(backend, { method: "GET", path: "/api/version", headers: [], body: undefined }, sink)
    yield* until(() => sink.ended)
    assert.deepStrictEqual(sink.wrong, [])
    return sink
  })

describe("a simulated Ollama on a port", () => {
  it.live("closes no idle connection and announces no time, as Ollama does", () =>
    Effect.gen(function* () {
      const { url } = yield* SimulatedOllamaServer.make()
      const raw = yield* open(url)
      raw.socket.write(version)
      yield* until(() => raw.received.includes("version"))
      assert.notMatch(raw.received, /^(keep-alive|connection):/im)
      // Longer than Node's own five seconds, with the second that Node adds.
      yield* Effect.sleep("7 seconds")
      assert.isFalse(raw.closed)
      raw.socket.write(version)
      yield* until(() => raw.received.split("HTTP/1.1 200").length === 3)
    }))

  it.live("closes an idle connection where it is told to, and the router does not mind", () =>
    Effect.gen(function* () {
      const { url } = yield* SimulatedOllamaServer.make({ connections: { idleMillis: 100 } })
      const raw = yield* open(url)
      raw.socket.write(version)
      yield* until(() => raw.closed)
      assert.include(raw.received, "version")
      for (let i = 0; i < 4; i++) {
        assert.strictEqual((yield* ask(backend(url))).status, 200)
        yield* Effect.sleep("105 millis")
      }
    }).pipe(Effect.provide(NodeTransport.layer())))

  it.live("breaks a connection with a request too many, and the router does not mind", () =>
    Effect.gen(function* () {
      const { server, url } = yield* SimulatedOllamaServer.make({ connections: { requestsMax: 1 } })
      const raw = yield* open(url)
      raw.socket.write(version)
      yield* until(() => raw.received.includes("version"))
      raw.socket.write(version)
      yield* until(() => raw.closed)
      const before = server.calls.length
      for (let i = 0; i < 10; i++) assert.strictEqual((yield* ask(backend(url))).status, 200)
      assert.strictEqual(server.calls.length - before, 10)
    }).pipe(Effect.provide(NodeTransport.layer())))

  it.live("sends interim heads, and the router drops them", () =>
    Effect.gen(function* () {
      const { server, url } = yield* SimulatedOllamaServer.make()
      server.script(Fault.interim(100, 102, 103))
      const raw = yield* open(url)
      raw.socket.write(version)
      yield* until(() => raw.received.includes("version"))
      assert.deepStrictEqual(raw.received.match(/HTTP\/1\.1 \d+ [\w ]+/g), [
        "HTTP/1.1 100 Continue",
        "HTTP/1.1 102 Processing",
        "HTTP/1.1 103 Early Hints",
        "HTTP/1.1 200 OK",
      ])
      assert.deepStrictEqual((yield* ask(backend(url))).events, ["open", "head", "data", "end"])
    }).pipe(Effect.provide(NodeTransport.layer())))

  it.live("sends a long head, and the router takes it", () =>
    Effect.gen(function* () {
      const { server, url } = yield* SimulatedOllamaServer.make()
      server.script(Fault.longHead(17 * 1024))
      const { headers, status } = yield* ask(backend(url))
      assert.strictEqual(status, 200)
      assert.strictEqual(headers[headers.indexOf("X-Long") + 1]?.length, 17 * 1024)
    }).pipe(Effect.provide(NodeTransport.layer())))

  it.live("takes heads of 1 MiB and thousands of fields, as Go does, and none of 2 MiB", () =>
    Effect.gen(function* () {
      const { server, url } = yield* SimulatedOllamaServer.make()
      const many = Array.from({ length: 3000 }, (_, i) => `X-${i}: 1\r\n`).join("")
      for (
        const [field, status] of [[`X: ${"x".repeat(1024 * 1024)}\r\n`, 200], [many, 200], [
          `X: ${"x".repeat(2 ** 21)}\r\n`,
          431,
        ]] as const
      ) {
        const raw = yield* open(url)
        raw.socket.write(version.replace("\r\n\r\n", `\r\n${field}\r\n`))
        yield* until(() => raw.received.includes("\r\n\r\n"))
        assert.include(raw.received, `HTTP/1.1 ${status} `)
      }
      assert.include(server.calls.at(-1)!.headers, "X-2999")
    }))
})

it.live("a simulated proxy asks for credentials", () =>
  Effect.gen(function* () {
    const { url } = yield* SimulatedOllamaServer.make({ credentials: { authorization: "Bearer t" } })
    assert.strictEqual((yield* ask(backend(url))).status, 401)
    assert.strictEqual((yield* ask(backend({ url, token: "wrong" }))).status, 401)
    assert.strictEqual((yield* ask(backend({ url, token: "t" }))).status, 200)
  }).pipe(Effect.provide(NodeTransport.layer())))
