/** The whole router over a backend that compresses in spite of `identity`, and over one that spells in another way. */
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Fiber, Layer } from "effect"
import { HttpRouter, HttpServerResponse } from "effect/http"
import { TestClock } from "effect/testing"
import { request as httpRequest } from "node:http"
import { gunzipSync } from "node:zlib"
import * as NodeServer from "../src/layers/server/NodeServer.ts"
import * as SimulatedFleet from "../src/simulated/SimulatedFleet.ts"
import { fetching, passing } from "./support/kill.ts"
import { ask, idle, nothing, over, url } from "./support/routers.ts"
import { RecordingReply } from "./support/sinks.ts"

const { Fault } = SimulatedFleet
const gzip = { encoding: "gzip" } as const
const messages = [{ role: "user", content: "hi" }]

/** One call of the web handler: its head, its bytes, and whether it broke off. */
const call = (path: string, body?: object) =>
  Effect.gen(function* () {
    const fetch = yield* fetching
    yield* TestClock.adjust("1 second")
    const sent = body === undefined ? {} : { method: "POST", body: JSON.stringify({ model: "tiny-eos", ...body }) }
    const response = yield* passing(fetch(`http://llamero.local${path}`, sent))
    const chunks: Array<Uint8Array> = []
    let broken = false
    const read = async () => {
      for await (const chunk of response.body!) chunks.push(chunk)
    }
    yield* passing(read().catch(() => void (broken = true)))
    const got = Buffer.concat(chunks)
    return { response, got, broken, text: got.toString("utf8") }
  })

const app = HttpRouter.add("GET", "/hello", HttpServerResponse.text("hello"))
const server = Effect.map(SimulatedFleet.SimulatedFleet, ({ get }) => get(url("a")))

const dialects: ReadonlyArray<readonly [path: string, body: object, last: RegExp]> = [
  ["/api/generate", { prompt: "hi" }, /"done":true/],
  ["/api/chat", { messages }, /"done":true/],
  ["/v1/chat/completions", { messages, stream: true }, /data: \[DONE\]/],
  ["/v1/responses", { input: "hi", stream: true }, /"type":"response.completed"/],
  ["/v1/messages", { messages, max_tokens: 9, stream: true }, /"type":"message_stop"/],
]

describe("a backend that compresses in spite of `identity`", () => {
  for (const [path, body, last] of dialects) {
    it.effect(`${path}: passes as it is; where it breaks off, the connection is cut`, () =>
      Effect.gen(function* () {
        const whole = yield* call(path, body)
        assert.deepStrictEqual([whole.response.status, whole.broken], [200, false])
        assert.strictEqual(whole.response.headers.get("content-encoding"), "gzip")
        assert.match(gunzipSync(whole.got).toString(), last)
        ;(yield* server).script(Fault.reset(2), { times: 1, path })
        const cut = yield* call(path, body)
        assert.strictEqual(cut.broken, true)
        assert.throws(() => gunzipSync(cut.got), /unexpected end of file/)
        assert.notInclude(cut.text, "error")
        assert.deepStrictEqual(yield* idle, nothing)
      }).pipe(Effect.provide(over({ a: gzip }))))
  }

  it.effect("/api/v1/generate is translated, as a stream and in one piece, and a break is told", () =>
    Effect.gen(function* () {
      const stream = yield* call("/api/v1/generate", { prompt: "hi", stream: true })
      assert.isNull(stream.response.headers.get("content-encoding"))
      assert.match(stream.text, /^data: \{"response":" word00","done":false\}\n\n/)
      assert.match(stream.text, /"done":true,"done_reason":"stop"/)
      const piece = yield* call("/api/v1/generate", { prompt: "hi" })
      assert.match(piece.text, /^\{"response":" word00 word01/)
      assert.isNull(piece.response.headers.get("content-encoding"))
      const simulated = yield* server
      simulated.script(Fault.reset(2), { path: "/api/generate", times: 1 })
      const cut = yield* call("/api/v1/generate", { prompt: "hi", stream: true })
      assert.match(
        cut.text,
        /word01","done":false\}\n\ndata: \{"error":"the backend broke off in the middle[^\n]*\n\n$/,
      )
      simulated.script(Fault.truncate(2), { path: "/api/generate", times: 1 })
      const ended = yield* call("/api/v1/generate", { prompt: "hi", stream: true })
      assert.match(ended.text, /data: \{"error":"the backend ended the stream before its last record"\}\n\n$/)
    }).pipe(Effect.provide(over({ a: gzip }))))

  it.effect("after heartbeats the client gets a plain stream, and a plain error", () =>
    Effect.gen(function* () {
      const stream = yield* call("/api/chat", { messages })
      assert.isNull(stream.response.headers.get("content-encoding"))
      assert.match(stream.text, /^\{[^\n]*"content":""[^\n]*\n/)
      assert.match(stream.text, /"done":true[^\n]*\n$/)
      for (const line of stream.text.trimEnd().split("\n")) JSON.parse(line)
    }).pipe(Effect.provide(over({ a: { ...gzip, loadTime: "20 seconds" } }))))

  it.effect("an error answer is plain, with its status", () =>
    Effect.gen(function* () {
      ;(yield* server).script(Fault.internal, { path: "/api/chat", times: 1 })
      const failed = yield* call("/api/chat", { messages })
      assert.strictEqual(failed.response.status, 500)
      assert.isNull(failed.response.headers.get("content-encoding"))
      assert.deepStrictEqual(JSON.parse(failed.text), { error: "llama-server process has terminated: exit status 2" })
    }).pipe(Effect.provide(over({ a: gzip }))))

  it.effect("embeddings that travel in one call are divided", () =>
    Effect.gen(function* () {
      yield* TestClock.adjust("1 second")
      const fibers = yield* Effect.forEach(Array.from({ length: 9 }, (_, i) => i), (i) => {
        const reply = new RecordingReply()
        const asked = ask("/api/embed", { model: "tiny-embed", input: `text ${i}` }, reply)
        return Effect.map(Effect.forkChild(asked, { startImmediately: true }), (fiber) => ({ fiber, reply }))
      })
      for (let i = 0; i < 100 && fibers.some(({ fiber }) => fiber.pollUnsafe() === undefined); i++) {
        yield* TestClock.adjust("250 millis")
        yield* Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))
      }
      for (const { fiber, reply } of fibers) {
        assert.isDefined(fiber.pollUnsafe())
        yield* Fiber.join(fiber)
        assert.lengthOf(JSON.parse(reply.text).embeddings, 1)
      }
      assert.isAbove(fibers.filter(({ reply }) => reply.annotations.includes("X-Llamero-Batch")).length, 1)
    }).pipe(Effect.provide(over({ a: { ...gzip, overhead: "100 millis" } }))))

  it.live("on a socket: the client sees that the answer is cut", () =>
    Effect.gen(function* () {
      const served = yield* Layer.build(NodeServer.layer(app, { port: 0, drainTimeout: "200 millis" }))
      const { port } = Context.get(served, NodeServer.NodeServer)
      ;(yield* server).script(Fault.reset(2), { times: 1, path: "/api/chat" })
      const seen = yield* Effect.promise(() => onSocket(port))
      assert.deepStrictEqual([seen.status, seen.encoding, seen.error], [200, "gzip", "ECONNRESET"])
      assert.throws(() => gunzipSync(seen.body), /unexpected end of file/)
    }).pipe(Effect.scoped, Effect.provide(over({ a: { ...gzip, decodeRate: 20 } }))))
})

const onSocket = (port: number) =>
  new Promise<{ status: number | undefined; encoding: string | undefined; error: string | undefined; body: Buffer }>(
    (resolve, reject) => {
      const sent = httpRequest({ port, host: "127.0.0.1", path: "/api/chat", method: "POST" }, (response) => {
        const chunks: Array<Buffer> = []
        const done = (error: string | undefined) =>
          resolve({
            status: response.statusCode,
            encoding: response.headers["content-encoding"],
            error,
            body: Buffer.concat(chunks),
          })
        response.on("data", (chunk: Buffer) => chunks.push(chunk))
        response.on("end", () => done(undefined))
        response.on("error", (error: NodeJS.ErrnoException) => done(error.code))
      })
      sent.on("error", reject)
      sent.end(JSON.stringify({ model: "tiny-eos", messages }))
    },
  )

describe("a backend that spells in another way", () => {
  const spelling = { blanks: true, lineEnd: "\r\n", bareFields: true, comments: true } as const
  for (const lineEnd of ["\n", "\r\n", "\r"] as const) {
    for (const [path, body] of [...dialects, ["/api/v1/generate", { prompt: "hi", stream: true }] as const]) {
      it.effect(`${path}, lines that end in ${JSON.stringify(lineEnd)}: whole streams get nothing added, cut ones do`, () =>
        Effect.gen(function* () {
          for (let i = 0; i < 6; i++) {
            const whole = yield* call(path, body)
            assert.deepStrictEqual([whole.response.status, whole.broken], [200, false])
            assert.notInclude(whole.text, 'error":"the backend')
            assert.notInclude(whole.text, "api_error")
          }
          const asked = path === "/api/v1/generate" ? "/api/generate" : path
          ;(yield* server).script(Fault.truncate(2), { path: asked, times: 1 })
          const cut = yield* call(path, body)
          assert.include(cut.text, "the backend ended the stream before its last record")
        }).pipe(Effect.provide(over({ a: { spelling: { ...spelling, lineEnd } } }))))
    }
  }
})
