/** Interim heads and long heads of backends. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, type Scope } from "effect"
import { interimEnd } from "../../../src/layers/transport/connection.ts"
import * as NodeTransport from "../../../src/layers/transport/NodeTransport.ts"
import type { Backend } from "../../../src/services/Fleet.ts"
import { Transport } from "../../../src/services/Transport.ts"
import { RecordingSink, until } from "../../../src/testing/sinks.ts"
import { answer, rawBackend } from "../../support/rawBackend.ts"

const body = new TextEncoder().encode("{}")

const post = (backend: Backend) =>
  Effect.gen(function* () {
    const transport = yield* Transport
    const sink = new RecordingSink()
    transport.send(backend, { method: "POST", path: "/api/chat", headers: [], body }, sink)
    yield* until(() => sink.ended)
    assert.deepStrictEqual(sink.wrong, [])
    return sink
  })

const live = <E>(
  title: string,
  body: () => Effect.Effect<void, E, Transport | Scope.Scope>,
  options?: NodeTransport.Options,
) => it.live(title, () => Effect.provide(body(), NodeTransport.layer(options)))

const interims = {
  "100 Continue": "HTTP/1.1 100 Continue\r\n\r\n",
  "100 with a field": "HTTP/1.1 100 Continue\r\nX-A: b\r\n\r\n",
  "100 of HTTP/1.0": "HTTP/1.0 100 Continue\r\n\r\n",
  "102 Processing": "HTTP/1.1 102 Processing\r\n\r\n",
  "103 Early Hints": "HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n",
  "a status that is not registered": "HTTP/1.1 199 Anything\r\n\r\n",
  "several": "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n",
}
/** A body with what looks like an interim head: it must come through. */
const text = "HTTP/1.1 100 Continue\r\n\r\n{}"

describe("an unasked interim head", () => {
  for (const [name, interim] of Object.entries(interims)) {
    live(`passes without harm: ${name}`, () =>
      Effect.gen(function* () {
        const raw = yield* rawBackend(({ socket }) => void socket.write(interim + answer(text)))
        for (let i = 0; i < 3; i++) {
          const sink = yield* post(raw.backend)
          assert.deepStrictEqual(sink.events, ["open", "head", "data", "end"])
          assert.strictEqual(sink.status, 200)
          assert.strictEqual(sink.body, text)
          assert.notInclude(sink.headers.join().toLowerCase(), "link")
        }
        // The connection is used again.
        assert.strictEqual(raw.connections(), 1)
      }))
  }

  live("passes byte by byte, and before the body was read", () =>
    Effect.gen(function* () {
      const raw = yield* rawBackend(({ socket }) => {
        const bytes = interims.several + answer(text)
        let at = 0
        const timer = setInterval(() => {
          if (at < bytes.length) socket.write(bytes[at++]!)
          else clearInterval(timer)
        }, 1)
      }, (socket) => void socket.write(""))
      const sink = yield* post(raw.backend)
      assert.strictEqual(sink.status, 200)
      assert.strictEqual(sink.body, text)
    }))

  live("that never ends is a failure", () =>
    Effect.gen(function* () {
      const raw = yield* rawBackend(({ socket }) => {
        socket.write(`HTTP/1.1 103 Early Hints\r\nLink: ${"x".repeat(5000)}`)
      })
      assert.strictEqual((yield* post(raw.backend)).error?.reason, "Protocol")
    }), { headBytesMax: 4096 })

  live("does not hide a switch of protocols that nobody asked for", () =>
    Effect.gen(function* () {
      const raw = yield* rawBackend(({ socket }) =>
        void socket.write("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n")
      )
      assert.isDefined((yield* post(raw.backend)).error)
    }))

  it("is found in any number of bytes", () => {
    const end = (value: string) => interimEnd(Buffer.from(value, "latin1"))
    assert.strictEqual(end("HTTP/1.1 200 OK\r\n\r\n"), 0)
    assert.strictEqual(end("HTTP/1.1 101 Switching\r\n\r\n"), 0)
    assert.strictEqual(end("HTTP/2 100\r\n\r\nxxxxxxxxx"), 0)
    assert.strictEqual(end("220 mail ready\r\n"), 0)
    assert.strictEqual(end("SSH"), 0)
    assert.strictEqual(end("HTTP/1.1 100 Continue\r\n\r\nrest"), 25)
    for (const part of ["", "H", "HTTP/1.1", "HTTP/1.1 1", "HTTP/1.1 10", "HTTP/1.1 103 Early\r\nLink: a\r\n"]) {
      assert.isUndefined(end(part), part)
    }
  })
})

describe("a long head of an answer", () => {
  const long = (bytes: number) => answer("{}", `X-Long: ${"x".repeat(bytes)}\r\n`)
  const many = answer("{}", Array.from({ length: 3000 }, (_, i) => `X-${i}: ${i}\r\n`).join(""))
  for (const [name, bytes] of [["17 KiB", long(17 * 1024)], ["900 KiB", long(900 * 1024)], ["3000 fields", many]]) {
    live(`of ${name} is taken`, () =>
      Effect.gen(function* () {
        const raw = yield* rawBackend(({ socket }) => void socket.write(bytes!))
        const sink = yield* post(raw.backend)
        assert.strictEqual(sink.status, 200)
        assert.isAbove(sink.headers.join().length, 17 * 1024)
      }))
  }

  live("beyond the bound is a failure that says so", () =>
    Effect.gen(function* () {
      const raw = yield* rawBackend(({ socket }) => void socket.write(long(1024 * 1024)))
      const { error } = yield* post(raw.backend)
      assert.strictEqual(error?.reason, "Protocol")
      assert.match(error?.description ?? "", /head/i)
    }))

  live("is bounded by the option", () =>
    Effect.gen(function* () {
      const raw = yield* rawBackend(({ socket }) => void socket.write(long(9000)))
      assert.strictEqual((yield* post(raw.backend)).error?.reason, "Protocol")
    }), { headBytesMax: 8192 })
})
