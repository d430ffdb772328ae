import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { gzipSync } from "node:zlib"
import * as WebServer from "../../../src/layers/server/WebServer.ts"
import type { ReplySink } from "../../../src/services/Reply.ts"
import type { RoutedRequest } from "../../../src/services/RoutedRequest.ts"
import type { Settled } from "../../../src/services/Router.ts"
import { until } from "../../../src/testing/sinks.ts"
import { app, ok } from "./served.ts"
import { bytes, router, Told } from "../../wire/support.ts"

const chat = `{"model":"x","messages":[{"role":"user","content":"hi"}]}`

const serve = (route: typeof ok = ok, options: WebServer.Options = {}) =>
  Effect.gen(function* () {
    const made = router(route)
    const web = yield* Effect.acquireRelease(
      Effect.sync(() => WebServer.toFetch(app, made.layer, options)),
      (web) => Effect.promise(() => web.dispose()),
    )
    const ask = (path: string, init?: RequestInit) =>
      Effect.promise(() => web.fetch(new Request(`http://llamero.local${path}`, init)))
    return { ...made, web, ask }
  })

const post = (
  body: NonNullable<RequestInit["body"]>,
  headers: Record<string, string> = {},
  signal?: AbortSignal,
): RequestInit => ({
  method: "POST",
  body,
  headers,
  ...(signal === undefined ? {} : { signal }),
})

describe("WebServer", () => {
  it.live("answers inference requests and all others", () =>
    Effect.gen(function* () {
      const { ask, seen, web } = yield* serve()
      const response = yield* ask("/api/chat", post(chat, { "X-Request-Id": "abc" }))
      assert.strictEqual(response.status, 200)
      assert.strictEqual(response.headers.get("x-request-id"), "abc")
      assert.strictEqual(yield* Effect.promise(() => response.text()), "{}")
      assert.deepStrictEqual(seen.requests[0]!.body, bytes(chat))
      const hello = yield* ask("/hello")
      assert.strictEqual(yield* Effect.promise(() => hello.text()), "hello")
      assert.isNotNull(hello.headers.get("x-request-id"))
      assert.strictEqual(web.active(), 0)
    }))

  it.live("answers to local names and those that are set, and to no name of a web page", () =>
    Effect.gen(function* () {
      const { seen, web } = yield* serve(ok, { hosts: ["LLM.example.com"] })
      const ask = (url: string, headers: Record<string, string> = {}) =>
        Effect.promise(() => web.fetch(new Request(url, { ...post(chat), headers })))
      const names = ["localhost:8000", "127.0.0.1", "[::1]:8000", "10.0.0.4", "box.local", "llamero", "llm.example.com"]
      for (const name of names) assert.strictEqual((yield* ask(`http://${name}/api/chat`)).status, 200, name)
      const { length } = seen.requests
      for (const name of ["evil.example", "127.0.0.1.nip.io", "8.8.8.8", "example.com", "x.llm.example.com"]) {
        // The origin of a page that is rebound is the same as the host.
        const refused = yield* ask(`http://${name}/api/chat`, { Origin: `http://${name}` })
        assert.strictEqual(refused.status, 403, name)
        assert.isNull(refused.headers.get("access-control-allow-origin"))
        assert.include(yield* Effect.promise(() => refused.text()), "add it to hosts")
      }
      assert.strictEqual((yield* ask("http://localhost/api/chat", { Host: "evil.example" })).status, 403)
      assert.strictEqual(seen.requests.length, length)
    }))

  it.live("answers to every name where that is set", () =>
    Effect.gen(function* () {
      const { web } = yield* serve(ok, { hosts: ["*"] })
      const answer = yield* Effect.promise(() => web.fetch(new Request("http://evil.example/hello")))
      assert.strictEqual(answer.status, 200)
    }))

  it.live("refuses bad input", () =>
    Effect.gen(function* () {
      const { ask, seen, web } = yield* serve(ok, { bodyBytesMax: 1000 })
      assert.strictEqual((yield* ask("/api/chat", post("{bad"))).status, 400)
      assert.strictEqual((yield* ask("/api/chat", post("{}"))).status, 400)
      assert.strictEqual((yield* ask("/api/chat", post("x".repeat(2000)))).status, 413)
      const stream = new ReadableStream<Uint8Array>({
        pull: (controller) => controller.enqueue(new Uint8Array(600)),
      })
      const streamed = { ...post(stream), duplex: "half" } as RequestInit
      assert.strictEqual((yield* ask("/api/chat", streamed)).status, 413)
      assert.strictEqual((yield* ask("/api/chat", post(chat, { "Content-Encoding": "lzma" }))).status, 415)
      assert.strictEqual((yield* ask("/api/chat")).status, 405)
      assert.strictEqual((yield* ask("/nope")).status, 404)
      assert.strictEqual((yield* ask("/api/chat", post(chat, { Origin: "http://evil.example" }))).status, 403)
      assert.strictEqual(seen.requests.length, 0)
      assert.strictEqual(web.active(), 0)
      assert.strictEqual((yield* ask("/api/chat", post(gzipSync(chat), { "Content-Encoding": "gzip" }))).status, 200)
    }))

  it.live("takes its own origin from the URL when the host gives it no Host header", () =>
    Effect.gen(function* () {
      const { ask } = yield* serve()
      assert.strictEqual((yield* ask("/api/chat", post(chat, { Origin: "http://llamero.local" }))).status, 200)
      assert.strictEqual((yield* ask("/api/chat", post(chat, { Origin: "http://other.example" }))).status, 403)
    }))

  const streaming = (upstream: Told) => (_request: RoutedRequest, reply: ReplySink): Effect.Effect<Settled> =>
    Effect.suspend(() => {
      reply.open(upstream)
      reply.head(200, ["Content-Type", "application/x-ndjson"])
      reply.data(bytes("{}\n"))
      return Effect.never
    })

  it.live("notices that the client has left, by the body or by the signal", () =>
    Effect.gen(function* () {
      const { ask, seen, web } = yield* serve(streaming(new Told()))
      const response = yield* ask("/api/chat", post(chat))
      assert.strictEqual(web.active(), 1)
      yield* Effect.promise(() => response.body!.cancel())
      yield* until(() => web.active() === 0 && seen.interrupted === 1, "the first to be gone")
      const aborter = new AbortController()
      yield* ask("/api/chat", post(chat, {}, aborter.signal))
      aborter.abort()
      yield* until(() => web.active() === 0 && seen.interrupted === 2, "the second to be gone")
    }))

  it.live("does not wait for a client that left before an answer", () =>
    Effect.gen(function* () {
      const { seen, web } = yield* serve(() => Effect.never)
      const aborter = new AbortController()
      const response = web.fetch(new Request("http://llamero.local/api/chat", post(chat, {}, aborter.signal)))
      yield* until(() => seen.active === 1)
      aborter.abort()
      assert.strictEqual((yield* Effect.promise(() => response)).status, 499)
      yield* until(() => web.active() === 0)
    }))

  it.live("pauses the backend while the client does not read", () =>
    Effect.gen(function* () {
      const upstream = new Told()
      const { ask } = yield* serve((_request, reply) =>
        Effect.suspend(() => {
          reply.open(upstream)
          reply.head(200, ["Content-Type", "application/x-ndjson"])
          for (let i = 0; i < 100 && upstream.calls.length === 0; i++) reply.data(new Uint8Array(16 * 1024))
          return Effect.never
        })
      )
      const response = yield* ask("/api/chat", post(chat))
      assert.deepStrictEqual(upstream.calls, ["pause"])
      const reader = response.body!.getReader()
      yield* Effect.promise(async () => {
        for (let i = 0; i < 10 && !upstream.calls.includes("resume"); i++) await reader.read()
      })
      assert.deepStrictEqual(upstream.calls, ["pause", "resume"])
      yield* Effect.promise(() => reader.cancel())
    }))

  it.live("answers when the router fails with a defect", () =>
    Effect.gen(function* () {
      const { ask, web } = yield* serve(() => Effect.die("boom"))
      assert.strictEqual((yield* ask("/api/chat", post(chat))).status, 500)
      assert.strictEqual(web.active(), 0)
    }))
})
