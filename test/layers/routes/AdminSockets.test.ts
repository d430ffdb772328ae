/** The admin API over sockets: a drain under load, who has called, and clients of the live stream that do not read. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Redacted, References } from "effect"
import { connect } from "node:net"
import * as StaticFleet from "../../../src/layers/fleet/StaticFleet.ts"
import * as AdminRoutes from "../../../src/layers/routes/AdminRoutes.ts"
import * as NodeServer from "../../../src/layers/server/NodeServer.ts"
import * as Standard from "../../../src/layers/Standard.ts"
import * as HttpOllamaApi from "../../../src/layers/transport/HttpOllamaApi.ts"
import * as NodeTransport from "../../../src/layers/transport/NodeTransport.ts"
import { Fleet } from "../../../src/services/Fleet.ts"
import * as SimulatedFleet from "../../../src/simulated/SimulatedFleet.ts"
import * as SimulatedOllamaApi from "../../../src/simulated/SimulatedOllamaApi.ts"
import * as SimulatedOllamaServer from "../../../src/simulated/SimulatedOllamaServer.ts"
import * as SimulatedTransport from "../../../src/simulated/SimulatedTransport.ts"
import { token } from "../../support/admin.ts"

const authorization = `Bearer ${token}`
const admin = (options?: Partial<AdminRoutes.Options>) =>
  NodeServer.layer(AdminRoutes.layer({ token: Redacted.make(token), ...options }), { port: 0 })
const quiet = Effect.provideService(References.MinimumLogLevel, "None")

const call = (url: string, method: string, path: string) =>
  // deno-lint-ignore no-explicit-any
  Effect.promise((): Promise<any> =>
    fetch(`${url}/admin/${path}`, { method, headers: { authorization } }).then((answer) => answer.json())
  )

/** A stream that must come whole. */
const generate = async (url: string, prompt: string): Promise<string> => {
  const response = await fetch(`${url}/api/generate`, {
    method: "POST",
    body: JSON.stringify({ model: "tiny-eos", prompt }),
  })
  const text = await response.text()
  return `${response.status} ${text.includes(`"done":true`) ? "whole" : text}`
}

describe("the admin API over sockets", () => {
  it.live("a drain under load loses nothing, and is recorded with the address", () =>
    Effect.gen(function* () {
      const options = { decodeRate: 200, parallelism: 4 }
      const [one, other] = [yield* SimulatedOllamaServer.make(options), yield* SimulatedOllamaServer.make(options)]
      const stack = Standard.layer().pipe(
        Layer.provideMerge([
          NodeTransport.layer(),
          HttpOllamaApi.layerTransport().pipe(Layer.provide(NodeTransport.layer())),
        ]),
        Layer.provideMerge(
          StaticFleet.layer([
            { url: one.url, id: "one", parallelism: 4 },
            { url: other.url, id: "other", parallelism: 4 },
          ]),
        ),
      )
      yield* Effect.gen(function* () {
        const { url } = yield* NodeServer.NodeServer
        for (let known = 0; known === 0;) known = (yield* call(url, "GET", "models")).models.length
        const first = Array.from({ length: 24 }, (_, i) => generate(url, `${i}`))
        let running = 0
        for (let i = 0; i < 100 && running === 0; i++) {
          yield* Effect.sleep("20 millis")
          running = (yield* call(url, "GET", "backends/one")).streams
        }
        assert.isAbove(running, 0)
        const { backend } = yield* call(url, "POST", "backends/one/drain")
        assert.strictEqual(backend.member, "draining")
        const later = Array.from({ length: 8 }, (_, i) => generate(url, `later ${i}`))
        const ended = yield* Effect.promise(() => Promise.all([...first, ...later]))
        assert.deepStrictEqual(ended.filter((one) => one !== "200 whole"), [])
        assert.strictEqual((yield* call(url, "GET", "backends/one")).streams, 0)
        const { changes: [change] } = yield* call(url, "GET", "changes")
        assert.deepInclude(change, {
          who: "admin",
          address: "127.0.0.1",
          action: "drain",
          backend: "one",
          result: "done",
        })
      }).pipe(Effect.provide(admin().pipe(Layer.provide(stack))))
    }).pipe(Effect.scoped, quiet), 60_000)

  const many = Array.from({ length: 20 }, (_, i) => `http://n${i}:11434`)
  const fleet = Standard.layer().pipe(
    Layer.provideMerge([SimulatedTransport.layer, SimulatedOllamaApi.layer]),
    Layer.provideMerge(StaticFleet.layer(many.map((url) => ({ url, labels: { text: "x".repeat(5000) } })))),
    Layer.provideMerge(SimulatedFleet.layer(Object.fromEntries(many.map((url) => [url, {}])))),
  )

  it.live("a client of the live stream that reads nothing is cut off", () =>
    Effect.gen(function* () {
      const { url } = yield* NodeServer.NodeServer
      const { members, setState } = yield* Fleet
      const client = yield* Effect.acquireRelease(
        Effect.sync(() => {
          const socket = connect(Number(new URL(url).port), "127.0.0.1")
          const client = { socket, received: 0, closed: false }
          socket.write(`GET /admin/events HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: ${authorization}\r\n\r\n`)
          socket.on("data", (chunk) => client.received += chunk.length)
          socket.once("data", () => socket.pause())
          socket.on("error", () => {})
          socket.on("close", () => client.closed = true)
          return client
        }),
        ({ socket }) => Effect.sync(() => socket.destroy()),
      )
      // Every change is some 100 kB: they fill the buffers of both sockets.
      for (let i = 0; i < 150; i++) {
        for (const { backend } of members()) yield* setState(backend.id, i % 2 === 0 ? "draining" : "active")
        yield* Effect.sleep("20 millis")
      }
      assert.isAbove(client.received, 0)
      // Its system has some of the stream. After that it sees that the server has closed.
      client.socket.resume()
      for (let i = 0; i < 100 && !client.closed; i++) yield* Effect.sleep("50 millis")
      assert.isTrue(client.closed)
    }).pipe(
      Effect.provide(admin({ interval: "5 millis", stallTimeout: "500 millis" }).pipe(Layer.provideMerge(fleet))),
      quiet,
    ), 60_000)
})
