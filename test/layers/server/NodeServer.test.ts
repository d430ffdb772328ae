import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Scope } from "effect"
import { hostname, networkInterfaces } from "node:os"
import { brotliCompressSync, gzipSync, zstdCompressSync } from "node:zlib"
import * as NodeServer from "../../../src/layers/server/NodeServer.ts"
import { refuse } from "../../../src/services/Refusal.ts"
import type { ReplySink } from "../../../src/services/Reply.ts"
import type { RoutedRequest } from "../../../src/services/RoutedRequest.ts"
import type { Settled } from "../../../src/services/Router.ts"
import * as Raw from "./raw.ts"
import { until } from "../../../src/testing/sinks.ts"
import { ok, serve } from "./served.ts"
import { answered, bytes, Told } from "../../wire/support.ts"

const chat = `{"model":"x","messages":[{"role":"user","content":"hi"}]}`

/** Sends bytes, waits for an answer, and checks that the server keeps nothing of the request. */
const answer = (sent: string | Uint8Array, options?: NodeServer.Options) =>
  Effect.gen(function* () {
    const { seen, server } = yield* serve(ok, options)
    const raw = yield* Raw.open(server.port)
    raw.write(sent)
    yield* until(() => raw.received().includes("\r\n\r\n"), "an answer")
    yield* until(() => server.active() === 0, "nothing under way")
    assert.strictEqual(seen.active, 0)
    return { head: raw.received().split("\r\n\r\n")[0]!, body: raw.received().split("\r\n\r\n")[1]!, raw, seen, server }
  })

const streaming = (_request: RoutedRequest, reply: ReplySink): Effect.Effect<Settled> =>
  Effect.suspend(() => {
    reply.open(new Told())
    reply.head(200, ["Content-Type", "application/x-ndjson"])
    reply.data(bytes(`{"first":true}\n`))
    return Effect.never
  })

describe("NodeServer", () => {
  it.live("answers with head and body in one packet, and keeps the connection", () =>
    Effect.gen(function* () {
      const { head, raw, server } = yield* answer(Raw.post("/api/chat", chat, "X-Request-Id: abc\r\n"))
      assert.match(head, /^HTTP\/1\.1 200 OK\r\n/)
      assert.match(head, /\r\nX-Request-Id: abc\r\n/)
      assert.strictEqual(raw.packets.length, 1)
      raw.write(Raw.post("/api/chat", chat))
      yield* until(() => raw.packets.length === 2)
      assert.strictEqual(server.active(), 0)
    }))

  it.live("sends the first record of a stream with the head", () =>
    Effect.gen(function* () {
      const { server } = yield* serve(streaming)
      const raw = yield* Raw.open(server.port)
      raw.write(Raw.post("/api/chat", chat))
      yield* until(() => raw.packets.length > 0)
      assert.strictEqual(raw.packets.length, 1)
      assert.include(raw.packets[0], `{"first":true}`)
      assert.strictEqual(server.active(), 1)
    }))

  it.live("counts the bytes of a body until its request has ended", () =>
    Effect.gen(function* () {
      const { server } = yield* serve(streaming, { bodyBytesMax: 100, heldBytesMax: 100 })
      const sent = Raw.post("/api/chat", chat)
      const first = yield* Raw.open(server.port)
      first.write(sent)
      yield* until(() => first.received().includes("first"), "a stream")
      const second = yield* Raw.open(server.port)
      second.write(sent)
      yield* until(() => second.received().includes("too many bodies"), "a refusal")
      assert.match(second.received(), /^HTTP\/1.1 503/)
      first.socket.destroy()
      yield* until(() => server.active() === 0, "nothing under way")
      const third = yield* Raw.open(server.port)
      third.write(sent)
      yield* until(() => third.received().includes("first"), "another stream")
    }))

  it.live("gives all other requests to the app, with an id", () =>
    Effect.gen(function* () {
      const { server } = yield* serve()
      const response = yield* Effect.promise(() => fetch(`${server.url}/hello`))
      assert.strictEqual(yield* Effect.promise(() => response.text()), "hello")
      assert.isNotNull(response.headers.get("x-request-id"))
      const missing = yield* Effect.promise(() => fetch(`${server.url}/nope`))
      assert.strictEqual(missing.status, 404)
    }))

  it.live("answers to the machine's own name and addresses, and not to a foreign name", () =>
    Effect.gen(function* () {
      const { server } = yield* serve(ok, { hosts: ["llm.example.com"] })
      const own = Object.values(networkInterfaces()).flatMap((each) => each ?? []).filter(({ family }) =>
        family === "IPv4"
      )
      const names = [hostname(), hostname().toUpperCase(), ...own.map(({ address }) => address), "llm.example.com"]
      const cases = [...names.map((name) => [name, 200] as const), ["evil.example", 403], ["8.8.8.8", 403]] as const
      for (const [name, status] of cases) {
        const raw = yield* Raw.open(server.port)
        raw.write(`GET /hello HTTP/1.1\r\nHost: ${name}:${server.port}\r\n\r\n`)
        yield* until(() => raw.received().includes("\r\n\r\n"), "an answer")
        assert.match(raw.received(), new RegExp(`^HTTP/1\\.1 ${status} `), name)
      }
    }))

  it.live("takes any name where it does not listen on loopback", () =>
    Effect.gen(function* () {
      for (const [host, status] of [["0.0.0.0", 200], ["127.0.0.1", 403]] as const) {
        const { server } = yield* serve(ok, { host })
        const raw = yield* Raw.open(server.port)
        raw.write("GET /hello HTTP/1.1\r\nHost: evil.example\r\n\r\n")
        yield* until(() => raw.received().includes("\r\n\r\n"), "an answer")
        assert.match(raw.received(), new RegExp(`^HTTP/1\\.1 ${status} `), host)
      }
    }))

  it.live("passes the request as the client sent it", () =>
    Effect.gen(function* () {
      const { seen } = yield* answer(Raw.post("/v1/chat/completions?x=1", chat, "X-Custom: é\r\n"))
      const [request] = seen.requests
      assert.strictEqual(request!.endpoint.path, "/v1/chat/completions")
      assert.strictEqual(request!.envelope.model, "x")
      assert.deepStrictEqual(request!.body, bytes(chat))
    }))

  describe("bad input", () => {
    const cases: ReadonlyArray<readonly [string, string, number, string | RegExp]> = [
      ["no body", Raw.post("/api/chat", ""), 400, `{"error":"missing request body"}`],
      [
        "not JSON",
        Raw.post("/api/chat", "{bad"),
        400,
        `{"error":"invalid character 'b' looking for beginning of object key string"}`,
      ],
      ["no model", Raw.post("/api/generate", "{}"), 404, `{"error":"model '' not found"}`],
      ["no model in a chat", Raw.post("/api/chat", "{}"), 400, `{"error":"model is required"}`],
      [
        "a model that is no string",
        Raw.post("/v1/chat/completions", `{"model":5}`),
        400,
        /"json: cannot unmarshal number into Go struct field ChatCompletionRequest\.model of type string"/,
      ],
      ["a model twice", Raw.post("/v1/messages", `{"model":"a","Model":"b"}`), 400, /"invalid_request_error"/],
      ["a wrong method", "GET /api/generate HTTP/1.1\r\nHost: localhost\r\n\r\n", 405, "405 method not allowed"],
      ["an unknown path", "POST /api/nope HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n", 404, ""],
      ["not HTTP", "hello there\r\n\r\n", 400, /not valid HTTP/],
      ["a header bomb", `GET / HTTP/1.1\r\nX: ${"x".repeat(3_000_000)}\r\n\r\n`, 431, /too long/],
      ["an unknown encoding", Raw.post("/api/chat", chat, "Content-Encoding: lzma\r\n"), 415, /unsupported/],
      [
        "an encoding twice",
        Raw.post("/api/chat", chat, "Content-Encoding: identity\r\nContent-Encoding: gzip\r\n"),
        415,
        /unsupported/,
      ],
      ["a broken encoding", Raw.post("/api/chat", chat, "Content-Encoding: gzip\r\n"), 400, /cannot decode/],
    ]
    for (const [title, sent, status, body] of cases) {
      it.live(title, () =>
        Effect.gen(function* () {
          const got = yield* answer(sent)
          assert.match(got.head, new RegExp(`^HTTP/1\\.1 ${status} `))
          if (status === 405) assert.match(got.head, /\r\nAllow: POST\r\n/)
          if (typeof body === "string") assert.include(got.body, body)
          else assert.match(got.body, body)
          assert.strictEqual(got.seen.requests.length, 0)
        }))
    }

    it.live("a declared body of 65 MiB is refused at once", () =>
      Effect.gen(function* () {
        const got = yield* answer(
          `POST /api/chat HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${65 * 1024 * 1024}\r\n\r\n{"model":`,
        )
        assert.match(got.head, /^HTTP\/1\.1 413 /)
        assert.include(got.body, `{"error":"http: request body too large"}`)
      }))

    it.live("a client that asks before it sends 65 MiB is told not to send them", () =>
      Effect.gen(function* () {
        const got = yield* answer(
          `POST /api/chat HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: ${
            65 * 1024 * 1024
          }\r\n\r\n`,
        )
        assert.match(got.head, /^HTTP\/1\.1 413 /)
      }))

    it.live("a body of 65 MiB in chunks is refused at the limit, and the client can read the refusal", () =>
      Effect.gen(function* () {
        const { server } = yield* serve()
        const raw = yield* Raw.open(server.port)
        raw.write("POST /v1/messages HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n")
        const mib = Buffer.alloc(1024 * 1024, "x")
        for (let i = 0; i < 65; i++) {
          raw.write(`${mib.length.toString(16)}\r\n`)
          raw.write(mib)
          raw.write("\r\n")
        }
        raw.write("0\r\n\r\n")
        yield* until(() => raw.received().includes("\r\n\r\n"), "an answer")
        assert.match(raw.received(), /^HTTP\/1\.1 413 /)
        assert.include(raw.received(), `"request_too_large"`)
        yield* until(() => server.active() === 0)
        raw.write(Raw.post("/api/chat", chat))
        yield* until(() => raw.received().includes("HTTP/1.1 200 OK"), "the next answer")
      }))

    it.live("a small body that is too large once decoded", () =>
      Effect.gen(function* () {
        const bomb = gzipSync(Buffer.alloc(10_000_000, "x"))
        const head =
          `POST /api/chat HTTP/1.1\r\nHost: localhost\r\nContent-Encoding: gzip\r\nContent-Length: ${bomb.length}\r\n\r\n`
        const got = yield* answer(Buffer.concat([Buffer.from(head), bomb]), { bodyBytesMax: 1_000_000 })
        assert.match(got.head, /^HTTP\/1\.1 413 /)
      }))

    it.live("a body that ends too early", () =>
      Effect.gen(function* () {
        const { seen, server } = yield* serve()
        const raw = yield* Raw.open(server.port)
        raw.write(`POST /api/chat HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n{"model":`)
        yield* until(() => server.active() === 1)
        raw.socket.destroy()
        yield* until(() => server.active() === 0)
        assert.strictEqual(seen.requests.length, 0)
      }))

    it.live("an upload that stalls is cut off", () =>
      Effect.gen(function* () {
        const { server } = yield* serve(ok, { stallTimeout: "100 millis" })
        const raw = yield* Raw.open(server.port)
        raw.write(`POST /api/chat HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n{"model":`)
        yield* until(() => raw.closed(), "the cut")
        assert.strictEqual(server.active(), 0)
      }))
  })

  it.live("takes compressed bodies", () =>
    Effect.gen(function* () {
      const { seen, server } = yield* serve()
      const encodings = [["gzip", gzipSync], ["br", brotliCompressSync], ["zstd", zstdCompressSync]] as const
      for (const [encoding, compress] of encodings) {
        const body = compress(Buffer.from(chat))
        const response = yield* Effect.promise(() =>
          fetch(`${server.url}/api/chat`, { method: "POST", headers: { "Content-Encoding": encoding }, body })
        )
        assert.strictEqual(response.status, 200, encoding)
        yield* Effect.promise(() => response.text())
      }
      for (const { body } of seen.requests) assert.strictEqual(new TextDecoder().decode(body), chat)
    }))

  describe("a client that leaves", () => {
    const waits = (_request: RoutedRequest, _reply: ReplySink): Effect.Effect<Settled> => Effect.never
    const moments: ReadonlyArray<readonly [string, typeof waits, (raw: Raw.Raw) => boolean]> = [
      ["before an answer", waits, () => true],
      ["in the middle of a stream", streaming, (raw) => raw.received().includes("first")],
    ]
    for (const [title, route, when] of moments) {
      it.live(title, () =>
        Effect.gen(function* () {
          const { seen, server } = yield* serve(route)
          const raw = yield* Raw.open(server.port)
          raw.write(Raw.post("/api/chat", chat))
          yield* until(() => seen.active === 1 && when(raw))
          raw.socket.destroy()
          yield* until(() => server.active() === 0 && seen.active === 0, "nothing under way")
          assert.strictEqual(seen.interrupted, 1)
        }))
    }

    it.live("in the middle of its headers", () =>
      Effect.gen(function* () {
        const { server } = yield* serve()
        const raw = yield* Raw.open(server.port)
        raw.write("POST /api/chat HTTP/1.1\r\nHo")
        raw.socket.destroy()
        yield* Effect.sleep("20 millis")
        assert.strictEqual(server.active(), 0)
      }))
  })

  it.live("pauses the backend of a client that does not read, and cuts the client off in the end", () =>
    Effect.gen(function* () {
      const chunk = new Uint8Array(256 * 1024)
      let paused = true
      const { server } = yield* serve((_request, reply) =>
        Effect.suspend(() => {
          const push = () => {
            for (let i = 0; i < 10_000 && !paused; i++) reply.data(chunk)
          }
          reply.open({
            pause: () => {
              paused = true
            },
            resume: () => {
              paused = false
              push()
            },
            abort: () => {},
          })
          reply.head(200, ["Content-Type", "application/x-ndjson"])
          paused = false
          push()
          return Effect.never
        }), { stallTimeout: "200 millis" })
      const raw = yield* Raw.open(server.port)
      raw.socket.pause()
      raw.write(Raw.post("/api/chat", chat))
      yield* until(() => server.active() === 1)
      yield* until(() => server.active() === 0, "the cut")
      assert.isTrue(paused)
    }))

  it.live("cuts the largest answers off when all together are too large, and no others", () =>
    Effect.gen(function* () {
      const { server } = yield* serve((request, reply) =>
        Effect.suspend(() => {
          reply.open(new Told())
          reply.head(200, ["Content-Type", "application/x-ndjson"])
          // More than any system's socket buffers hold, from a backend that ignores `pause`.
          reply.data(request.envelope.model === "much" ? new Uint8Array(32 * 1024 * 1024) : bytes("{}\n"))
          return Effect.never
        }), { bufferBytesMax: 1024 * 1024 })
      const modest = yield* Raw.open(server.port)
      modest.write(Raw.post("/api/chat", chat))
      const greedy = yield* Raw.open(server.port)
      greedy.socket.pause()
      greedy.write(Raw.post("/api/chat", chat.replace(`"x"`, `"much"`)))
      yield* until(() => server.active() === 2)
      yield* until(() => server.active() === 1, "the cut")
      assert.isFalse(modest.closed())
      assert.isAtMost(server.buffered(), 1024 * 1024)
    }))

  it.live("speaks HTTP/1.0: heartbeats, then the answer, which ends with the connection", () =>
    Effect.gen(function* () {
      const { server } = yield* serve((_request, reply) =>
        Effect.sync(() => {
          reply.heartbeat()
          reply.heartbeat()
          reply.open(new Told())
          reply.head(200, ["Content-Type", "application/x-ndjson", "Transfer-Encoding", "chunked"])
          reply.data(bytes(`{"done":true}\n`))
          reply.end()
          return answered
        })
      )
      for (const keep of ["", "Connection: keep-alive\r\n"]) {
        const raw = yield* Raw.open(server.port)
        raw.write(Raw.post("/api/chat", chat, keep).replace("HTTP/1.1", "HTTP/1.0"))
        yield* until(() => raw.closed(), "the end")
        const [head = "", body = ""] = raw.received().split("\r\n\r\n")
        assert.notMatch(head, /transfer-encoding/i)
        const lines = body.trimEnd().split("\n").map((line) => JSON.parse(line))
        assert.deepStrictEqual(lines.map(({ done }) => done), [false, false, true])
      }
      assert.strictEqual(server.active(), 0)
    }))

  it.live("answers when the router fails with a defect or ends without an answer", () =>
    Effect.gen(function* () {
      const { server } = yield* serve((request) =>
        request.envelope.model === "die" ? Effect.die("boom") : Effect.succeed(answered)
      )
      for (const model of ["die", "forget"]) {
        const response = yield* Effect.promise(() =>
          fetch(`${server.url}/api/chat`, { method: "POST", body: `{"model":"${model}"}` })
        )
        assert.strictEqual(response.status, 500)
        assert.isFalse((yield* Effect.promise(() => response.text())).includes("boom"))
      }
      assert.strictEqual(server.active(), 0)
    }))

  it.live("answers CORS", () =>
    Effect.gen(function* () {
      const { server } = yield* serve(ok, {
        origins: ["https://ui.example"],
        allowHeaders: ["X-Chat"],
        tenantHeader: "X-Team",
      })
      const ask = (origin: string, method: string, path = "/api/chat") =>
        Effect.promise(() =>
          fetch(server.url + path, {
            method,
            headers: { Origin: origin, "Access-Control-Request-Method": "POST" },
            ...(method === "POST" ? { body: chat } : {}),
          })
        )
      assert.strictEqual((yield* ask("http://evil.example", "POST")).status, 403)
      const preflight = yield* ask("https://ui.example", "OPTIONS")
      assert.strictEqual(preflight.status, 204)
      assert.match(preflight.headers.get("access-control-allow-headers") ?? "", /,X-Chat,X-Team$/)
      const allowed = yield* ask("https://ui.example", "POST")
      assert.strictEqual(allowed.headers.get("access-control-allow-origin"), "https://ui.example")
      const other = yield* ask("https://ui.example", "GET", "/hello")
      assert.strictEqual(other.headers.get("access-control-allow-origin"), "https://ui.example")
    }))

  it.live("drains: takes no new connections, refuses new requests, and lets streams finish within the limit", () =>
    Effect.gen(function* () {
      let finish: () => void = () => {}
      const { scope, seen, server } = yield* serve((request, reply) => {
        if (request.envelope.model === "late") {
          return Effect.sync(() => {
            reply.refuse(refuse("Draining", "shutting down", { retryAfter: 5 }))
            return answered
          })
        }
        return Effect.callback((resume) => {
          reply.open(new Told())
          reply.head(200, ["Content-Type", "application/x-ndjson"])
          reply.data(bytes("{}\n"))
          finish = () => {
            reply.data(bytes("last\n"))
            reply.end()
            resume(Effect.succeed(answered))
          }
        })
      }, { drainTimeout: "5 seconds" })
      const raw = yield* Raw.open(server.port)
      const other = yield* Raw.open(server.port)
      raw.write(Raw.post("/api/chat", chat))
      other.write("POST /api/chat HTTP/1.1\r\nHost: localhost\r\n")
      yield* until(() => seen.active === 1)
      const closing = yield* Effect.forkScoped(Scope.close(scope, Exit.void))
      yield* Effect.sleep("50 millis")
      other.write(`Content-Length: 16\r\n\r\n{"model":"late"}`)
      yield* until(() => other.closed(), "the refusal")
      assert.match(other.received(), /^HTTP\/1\.1 503 /)
      assert.match(other.received(), /\r\nConnection: close\r\n/)
      assert.isUndefined(closing.pollUnsafe())
      finish()
      yield* until(() => raw.closed(), "the end")
      assert.include(raw.received(), "last")
      yield* until(() => closing.pollUnsafe() !== undefined, "the close")
    }))

  it.live("cuts off what has not ended within the limit of the drain", () =>
    Effect.gen(function* () {
      const { scope, seen, server } = yield* serve(streaming, { drainTimeout: "100 millis" })
      const raw = yield* Raw.open(server.port)
      raw.write(Raw.post("/api/chat", chat))
      yield* until(() => seen.active === 1)
      yield* Scope.close(scope, Exit.void)
      yield* until(() => raw.closed(), "the cut")
      yield* until(() => seen.interrupted === 1)
      assert.strictEqual(server.active(), 0)
    }))

  it.live("fails with an error when the port is taken", () =>
    Effect.gen(function* () {
      const { server } = yield* serve()
      const error = yield* Effect.flip(serve(ok, { port: server.port }))
      assert.strictEqual(error._tag, "ServeError")
    }))
})
