/** What happens when a backend closes a connection that the router wants to use again. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, type Scope } from "effect"
import * as NodeTransport from "../../../src/layers/transport/NodeTransport.ts"
import type { Backend } from "../../../src/services/Fleet.ts"
import { Transport } from "../../../src/services/Transport.ts"
import { RecordingSink, until } from "../../../src/testing/sinks.ts"
import { answer, type Heard, rawBackend } from "../../support/rawBackend.ts"

const small = new TextEncoder().encode(`{"model":"m"}`)
const large = new Uint8Array(1024 * 1024).fill(97)

const post = (backend: Backend, body: Uint8Array | undefined = small, path = "/api/chat") =>
  Effect.gen(function* () {
    const transport = yield* Transport
    const sink = new RecordingSink()
    const method = body === undefined ? "GET" : "POST"
    transport.send(backend, { method, path, headers: [], body }, sink)
    yield* until(() => sink.ended, `the end of ${method} ${path}`)
    assert.deepStrictEqual(sink.wrong, [])
    return sink
  })

const live = <E>(title: string, body: () => Effect.Effect<void, E, Transport | Scope.Scope>) =>
  it.live(title, () => Effect.provide(body(), NodeTransport.layer()))

const ok = answer("{}")
const statuses = (sinks: ReadonlyArray<RecordingSink>) => sinks.map(({ error, status }) => error?.reason ?? status)

/** Answers the first request of each connection, and does `then` with the next one. */
const onceThen = (then: (heard: Heard) => void) => (heard: Heard) =>
  heard.turn === 1 ? void heard.socket.write(ok) : then(heard)

const closings: ReadonlyArray<readonly [how: string, then: (heard: Heard) => void]> = [
  ["reset", ({ socket }) => void socket.resetAndDestroy()],
  ["closed", ({ socket }) => void socket.destroy()],
  ["closed in its own direction only", ({ socket }) => void socket.end()],
  ["reset a while after the call came", ({ socket }) => void setTimeout(() => socket.resetAndDestroy(), 80)],
]

describe("a pooled connection that is", () => {
  for (const [how, then] of closings) {
    live(`${how} gets no blame: the call is sent once more on a new one`, () =>
      Effect.gen(function* () {
        const raw = yield* rawBackend(onceThen(then))
        const sinks = [yield* post(raw.backend), yield* post(raw.backend), yield* post(raw.backend)]
        assert.deepStrictEqual(statuses(sinks), [200, 200, 200])
        // Each sink hears of one answer only.
        for (const { events } of sinks) assert.deepStrictEqual(events, ["open", "head", "data", "end"])
        const bodies = new Set(raw.requests.map(({ body }) => body))
        assert.deepStrictEqual([...bodies], [`{"model":"m"}`])
      }))
  }

  live("reset for a GET is used no more, too", () =>
    Effect.gen(function* () {
      const raw = yield* rawBackend(onceThen(({ socket }) => void socket.resetAndDestroy()))
      const sinks = [yield* post(raw.backend, undefined), yield* post(raw.backend, undefined)]
      assert.deepStrictEqual(statuses(sinks), [200, 200])
    }))

  live("reset while a large body is written gets the whole body once more", () =>
    Effect.gen(function* () {
      let bytes = 0
      const raw = yield* rawBackend(onceThen(() => {}), (socket, connection) => {
        socket.on("data", (chunk: Uint8Array) => {
          bytes += chunk.length
          if (connection === 1 && bytes > 100_000) socket.resetAndDestroy()
        })
      })
      const sinks = [yield* post(raw.backend), yield* post(raw.backend, large)]
      assert.deepStrictEqual(statuses(sinks), [200, 200])
      const { body, connection } = raw.requests.at(-1)!
      assert.strictEqual(connection, 2)
      assert.strictEqual(body.length, large.length)
      assert.strictEqual(sinks[1]!.upstream!.unsent!(), 0)
    }))
})

describe("a backend that takes one request per connection", () => {
  for (const said of [true, false]) {
    live(`answers all, ${said ? "and says so" : "and does not say so"}`, () =>
      Effect.gen(function* () {
        const raw = yield* rawBackend(({ socket }) => {
          socket.write(answer("{}", said ? "Connection: close\r\n" : ""))
          // Closed later than the answer is read, so that the router may have taken the connection back.
          setTimeout(() => socket.destroy(), 2)
        })
        const sinks: Array<RecordingSink> = []
        for (let i = 0; i < 40; i++) sinks.push(yield* post(raw.backend))
        assert.deepStrictEqual(new Set(statuses(sinks)), new Set([200]))
      }))
  }

  live("answers many at the same time", () =>
    Effect.gen(function* () {
      const raw = yield* rawBackend(onceThen(({ socket }) => void socket.resetAndDestroy()))
      const many = Effect.all(Array.from({ length: 20 }, () => post(raw.backend)), { concurrency: "unbounded" })
      assert.deepStrictEqual(new Set(statuses(yield* many)), new Set([200]))
      // Twenty connections are in the pool now, and each of them is closed.
      assert.deepStrictEqual(new Set(statuses(yield* many)), new Set([200]))
    }))

  live("is believed when it announces a short time: a connection is not used beyond it", () =>
    Effect.gen(function* () {
      const raw = yield* rawBackend(({ socket }) => void socket.write(answer("{}", "Keep-Alive: timeout=1\r\n")))
      assert.deepStrictEqual(statuses([yield* post(raw.backend), yield* post(raw.backend)]), [200, 200])
      assert.deepStrictEqual(raw.requests.map(({ turn }) => turn), [1, 1])
    }))
})

describe("a call is not repeated", () => {
  live("on a new connection", () =>
    Effect.gen(function* () {
      const raw = yield* rawBackend(({ socket }) => void socket.resetAndDestroy())
      assert.deepStrictEqual(statuses([yield* post(raw.backend)]), ["Reset"])
      assert.strictEqual(raw.requests.length, 1)
    }))

  live("a second time", () =>
    Effect.gen(function* () {
      const raw = yield* rawBackend((heard) =>
        heard.connection === 1 && heard.turn === 1 ? void heard.socket.write(ok) : void heard.socket.resetAndDestroy()
      )
      assert.deepStrictEqual(statuses([yield* post(raw.backend), yield* post(raw.backend)]), [200, "Reset"])
      assert.strictEqual(raw.requests.length, 3)
    }))

  for (
    const [what, bytes] of [
      ["a part of a head", "HTTP/1.1 200"],
      ["an interim head", "HTTP/1.1 100 Continue\r\n\r\n"],
      ["a head", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"],
    ] as const
  ) {
    live(`when ${what} came back`, () =>
      Effect.gen(function* () {
        const raw = yield* rawBackend(onceThen(({ socket }) => {
          socket.write(bytes)
          setTimeout(() => socket.resetAndDestroy(), 20)
        }))
        assert.strictEqual((yield* post(raw.backend)).status, 200)
        assert.strictEqual((yield* post(raw.backend)).error?.reason, "Reset")
        assert.strictEqual(raw.requests.length, 2)
      }))
  }

  live("after the router has aborted it", () =>
    Effect.gen(function* () {
      const raw = yield* rawBackend(onceThen(() => {}))
      yield* post(raw.backend)
      const sink = new RecordingSink()
      const transport = yield* Transport
      transport.send(raw.backend, { method: "POST", path: "/", headers: [], body: small }, sink)
      yield* until(() => raw.requests.length === 2)
      sink.upstream!.abort()
      raw.requests[1]!.socket.resetAndDestroy()
      yield* Effect.sleep("30 millis")
      assert.deepStrictEqual(sink.events, ["open"])
      assert.strictEqual(raw.requests.length, 2)
    }))
})
