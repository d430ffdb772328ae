/** Heads of requests: what Ollama takes is taken, and what is refused gets an answer in the client's dialect. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import process from "node:process"
import * as NodeServer from "../../../src/layers/server/NodeServer.ts"
import type { ReplySink } from "../../../src/services/Reply.ts"
import type { RoutedRequest } from "../../../src/services/RoutedRequest.ts"
import type { Settled } from "../../../src/services/Router.ts"
import { until } from "../../../src/testing/sinks.ts"
import { ok, serve } from "./served.ts"
import { bytes, Told } from "../../wire/support.ts"
import * as Raw from "./raw.ts"

const chat = `{"model":"x","messages":[]}`
const long = (bytes: number) => `X-Long: ${"x".repeat(bytes)}\r\n`
const get = (path: string, headers = "") => `GET ${path} HTTP/1.1\r\nHost: localhost\r\n${headers}\r\n`
const MiB = 1024 * 1024

/** The whole answer to some bytes. */
const ask = (sent: string, options?: NodeServer.Options) =>
  Effect.gen(function* () {
    const { seen, server } = yield* serve(ok, options)
    const raw = yield* Raw.open(server.port)
    raw.write(sent)
    yield* until(() => {
      const [head = "", body] = raw.received().split("\r\n\r\n")
      return body !== undefined && body.length >= Number(/content-length: (\d+)/i.exec(head)?.[1] ?? 0)
    }, "an answer")
    yield* until(() => server.active() === 0, "nothing under way")
    const [head = "", body = ""] = raw.received().split("\r\n\r\n")
    return { status: Number(head.slice(9, 12)), head, body, raw, seen, server }
  })

// Deno closes the connection at once, although it is only ended.
const onDeno = process.versions["deno"] !== undefined

describe("a head of a request", () => {
  const many = Array.from({ length: 5000 }, (_, i) => `X-${i}: ${i}\r\n`).join("")
  for (
    const [name, headers] of [["17 KiB", long(17 * 1024)], ["1 MiB", long(MiB - 100)], ["5000 fields", many]] as const
  ) {
    it.live(`of ${name} is taken, for inference and other paths`, () =>
      Effect.gen(function* () {
        assert.strictEqual((yield* ask(Raw.post("/api/chat", chat, headers))).status, 200)
        const { body, status } = yield* ask(get("/hello", headers))
        assert.deepStrictEqual([status, body], [200, "hello"])
      }))
  }

  it.live("with a long target is taken", () =>
    Effect.gen(function* () {
      assert.strictEqual((yield* ask(get(`/hello?${"q".repeat(100_000)}`))).status, 200)
      assert.strictEqual((yield* ask(Raw.post(`/api/chat?${"q".repeat(100_000)}`, chat))).status, 200)
    }))

  it.live("of which the last field counts, too", () =>
    Effect.gen(function* () {
      const { seen } = yield* ask(Raw.post("/api/chat", chat, `${many}X-Last: yes\r\n`))
      assert.include(seen.requests[0]!.headers, "X-Last")
    }))

  interface Answer {
    readonly type?: string
    readonly error: string & { readonly type?: string; readonly message?: string }
  }
  const shapes: ReadonlyArray<readonly [path: string, shape: (body: Answer) => unknown]> = [
    ["/api/chat", (body) => body.error],
    ["/api/tags", (body) => body.error],
    ["/hello", (body) => body.error],
    ["/v1/chat/completions", (body) => body.error.type === "invalid_request_error" && body.error.message],
    ["/v1/models", (body) => body.error.type === "invalid_request_error" && body.error.message],
    ["/v1/messages", (body) => body.type === "error" && body.error.message],
  ]
  for (const [path, shape] of shapes) {
    for (const [limit, size] of [[undefined, MiB + 6000], [8192, 14_000], [8192, 60_000]] as const) {
      it.live(`beyond ${limit ?? "the default limit"} is refused in the dialect of ${path} (${size} bytes)`, () =>
        Effect.gen(function* () {
          const sent = path.startsWith("/v1/m") || path.startsWith("/h") || path === "/api/tags"
            ? get(path, long(size))
            : Raw.post(path, chat, long(size))
          const { body, head, seen, status } = yield* ask(sent, { headBytesMax: limit })
          assert.strictEqual(status, 431)
          assert.match(head, /content-type: application\/json/i)
          assert.match(head, /x-request-id: /i)
          assert.match(String(shape(JSON.parse(body))), /head .* too long/)
          assert.strictEqual(seen.requests.length, 0)
        }))
    }
  }

  it.live.skipIf(onDeno)(
    "that is far too long gets an answer and no reset, while the client goes on sending (Deno closes at once)",
    () =>
      Effect.gen(function* () {
        const { server } = yield* serve()
        const raw = yield* Raw.open(server.port)
        let reset: unknown
        raw.socket.on("error", (error) => reset = error)
        raw.write("POST /api/chat HTTP/1.1\r\nHost: localhost\r\nX-Long: ")
        for (let i = 0; i < 160 && !raw.closed(); i++) {
          raw.write("x".repeat(64 * 1024))
          yield* Effect.sleep("1 millis")
        }
        yield* until(() => raw.received().includes("\r\n\r\n"), "an answer")
        yield* Effect.sleep("50 millis")
        assert.isUndefined(reset)
        const [head, body = ""] = raw.received().split("\r\n\r\n")
        assert.match(head!, /^HTTP\/1\.1 431 Request Header Fields Too Large\r\n/)
        assert.match(JSON.parse(body).error, /too long/)
        // One answer, however many packets came after it.
        assert.strictEqual(raw.received().split("HTTP/1.1 ").length, 2)
      }),
  )

  for (const [path, shape] of shapes) {
    it.live(`without a Host is refused in the dialect of ${path}`, () =>
      Effect.gen(function* () {
        const sent = Raw.post(path, chat).replace("Host: localhost\r\n", "")
        const { body, head, raw, seen, status } = yield* ask(sent + get("/hello"))
        assert.strictEqual(status, 400)
        assert.match(head, /content-type: application\/json/i)
        assert.match(head, /x-request-id: /i)
        assert.match(head, /connection: close/i)
        assert.match(String(shape(JSON.parse(body))), /missing required Host header/)
        yield* until(() => raw.closed(), "the end of the connection")
        assert.strictEqual(raw.received().split("HTTP/1.1 ").length, 2)
        assert.strictEqual(seen.requests.length, 0)
      }))
  }

  it.live("of HTTP/1.0 needs no Host", () =>
    Effect.gen(function* () {
      assert.strictEqual((yield* ask("GET /hello HTTP/1.0\r\n\r\n")).status, 200)
    }))

  it.live("leaves the connection as it is when only the limit refused it", () =>
    Effect.gen(function* () {
      const { raw } = yield* ask(Raw.post("/api/chat", chat, long(9000)), { headBytesMax: 1024 })
      raw.write(Raw.post("/api/chat", chat))
      yield* until(() => raw.received().includes("HTTP/1.1 200 OK"), "the second answer")
    }))
})

describe("a request that is not HTTP gets an answer with a body", () => {
  const requests: ReadonlyArray<readonly [name: string, sent: string, status: number]> = [
    ["no method", "hello there\r\n\r\n", 400],
    ["a header without a colon", get("/api/tags", "nonsense\r\n"), 400],
    ["a length that is no number", get("/api/tags", "Content-Length: many\r\n"), 400],
    ["two lengths", get("/api/tags", "Content-Length: 1\r\nContent-Length: 2\r\n"), 400],
    ["a length besides chunks", get("/api/tags", "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n"), 400],
    ["a name with a blank", get("/api/tags", "X Y: 1\r\n"), 400],
    ["a TLS handshake", "\x16\x03\x01\x02\x00\x01\x00", 400],
  ]
  for (const [name, sent, wanted] of requests) {
    it.live(name, () =>
      Effect.gen(function* () {
        const { body, head, raw, status } = yield* ask(sent)
        assert.strictEqual(status, wanted)
        assert.match(head, /connection: close/i)
        assert.isString(JSON.parse(body).error)
        raw.socket.end()
        yield* until(() => raw.closed(), "the end of the connection")
      }))
  }

  it.live("a broken chunk in a body is answered once, and frees everything", () =>
    Effect.gen(function* () {
      const sent = "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"
      const { body, raw, seen, status } = yield* ask(sent)
      assert.strictEqual(status, 400)
      assert.isDefined(JSON.parse(body).error)
      assert.strictEqual(seen.requests.length, 0)
      assert.strictEqual(raw.received().split("HTTP/1.1 ").length, 2)
    }))

  it.live("in the middle of an answer it is cut off, and nothing is written into that answer", () =>
    Effect.gen(function* () {
      const streaming = (_request: RoutedRequest, reply: ReplySink): Effect.Effect<Settled> =>
        Effect.suspend(() => {
          reply.open(new Told())
          reply.head(200, ["Content-Type", "application/x-ndjson"])
          reply.data(bytes(`{"first":true}\n`))
          return Effect.never
        })
      const { server } = yield* serve(streaming)
      const raw = yield* Raw.open(server.port)
      raw.socket.on("error", () => {})
      raw.write(Raw.post("/api/chat", chat))
      yield* until(() => raw.received().includes("first"), "the first record")
      raw.write("nonsense\r\n\r\n")
      yield* until(() => raw.closed(), "the end of the connection")
      assert.notInclude(raw.received(), " 400 ")
      yield* until(() => server.active() === 0, "nothing under way")
    }))
})
