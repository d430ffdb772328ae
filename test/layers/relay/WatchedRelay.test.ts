import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Layer, Schema } from "effect"
import { TestClock } from "effect/testing"
import { brotliCompressSync, deflateSync, gzipSync, zstdCompressSync } from "node:zlib"
import * as WatchedRelay from "../../../src/layers/relay/WatchedRelay.ts"
import { backend } from "../../../src/services/Fleet.ts"
import type { Lease } from "../../../src/services/Leases.ts"
import type { Outcome } from "../../../src/services/Outcome.ts"
import { Relay } from "../../../src/services/Relay.ts"
import { header, type StreamEnd } from "../../../src/services/RoutedRequest.ts"
import { Dress } from "../../../src/simulated/http/dress.ts"
import { demandFor, modelOn } from "../../support/demands.ts"
import { bytes, type PlayedCall, playedTransport, RecordingReply } from "../../support/sinks.ts"

const a = backend({ url: "http://a:11434", id: "a" })
const call = { method: "POST", path: "/api/chat", headers: [], body: bytes("{}") }

/** Starts one attempt, and returns its reply and its upstream. */
const start = (
  streamEnd: StreamEnd = "done-true",
  streams = true,
  options?: WatchedRelay.Options,
  reads = false,
  record?: { firstByteAt: number | undefined },
) =>
  Effect.gen(function* () {
    const calls: Array<PlayedCall> = []
    const released: Array<Outcome> = []
    const lease: Lease = {
      backend: a,
      demand: demandFor(modelOn("m:latest", "a")),
      release: (outcome) => released.push(outcome),
    }
    const reply = new RecordingReply()
    const context = yield* Layer.build(WatchedRelay.layer(options).pipe(Layer.provide(playedTransport(calls))))
    const relay = yield* Effect.provideContext(Relay, context)
    const fiber = yield* Effect.forkChild(relay.run(lease, call, { streams, streamEnd, reads, record }, reply), {
      startImmediately: true,
    })
    return { upstream: calls[0]!, reply, fiber, released, relay }
  })

const encodings: ReadonlyArray<readonly [name: string, encode: (body: Uint8Array) => Uint8Array]> = [
  ["gzip", gzipSync],
  ["X-GZIP", gzipSync],
  ["deflate", deflateSync],
  ["br", brotliCompressSync],
  ["zstd", zstdCompressSync],
]

const line = `{"response":"x","done":false}\n`
const last = `{"response":"","done":true,"done_reason":"stop"}\n`

describe("WatchedRelay", () => {
  it.effect("tells the time of the first byte when it comes, and not that of the head, and only once", () =>
    Effect.gen(function* () {
      const record: { firstByteAt: number | undefined } = { firstByteAt: undefined }
      const { fiber, upstream } = yield* start("done-true", true, undefined, false, record)
      yield* TestClock.adjust("100 millis")
      upstream.answer(200)
      assert.isUndefined(record.firstByteAt)
      yield* TestClock.adjust("100 millis")
      upstream.to.data(bytes(line))
      assert.strictEqual(record.firstByteAt, 200)
      yield* TestClock.adjust("100 millis")
      upstream.to.data(bytes(last))
      upstream.end()
      yield* Fiber.join(fiber)
      assert.strictEqual(record.firstByteAt, 200)
    }))

  it.effect("passes head and chunks on unchanged and releases the lease at the end", () =>
    Effect.gen(function* () {
      const { fiber, relay, released, reply, upstream } = yield* start()
      upstream.answer(200, line, last).end()
      const attempt = yield* Fiber.join(fiber)
      assert.strictEqual(attempt._tag, "Answered")
      assert.strictEqual(reply.text, line + last)
      assert.strictEqual(reply.status, 200)
      assert.strictEqual(reply.ended, 1)
      assert.strictEqual(released[0]!.kind, "success")
      assert.lengthOf(released, 1)
      assert.strictEqual(relay.active(), 0)
    }))

  it.effect("holds the head back until the first byte", () =>
    Effect.gen(function* () {
      const { fiber, reply, upstream } = yield* start()
      upstream.answer(200)
      assert.isFalse(reply.committed)
      upstream.fail("Reset")
      const attempt = yield* Fiber.join(fiber)
      assert.strictEqual(attempt._tag, "Retry")
      assert.isUndefined(reply.upstream)
    }))

  for (const status of [429, 502, 503]) {
    it.effect(`holds a whole ${status} back, so that another attempt can follow`, () =>
      Effect.gen(function* () {
        const { fiber, released, reply, upstream } = yield* start()
        upstream.answer(status, `{"error":`, `"busy"}`).end()
        const attempt = yield* Fiber.join(fiber)
        assert(attempt._tag === "Retry")
        assert.strictEqual(new TextDecoder().decode(attempt.answer!.body), `{"error":"busy"}`)
        assert.strictEqual(released[0]!.kind, status === 502 ? "failure" : "saturated")
        assert.isFalse(reply.committed)
      }))
  }

  it.effect("passes other error answers on, and ignores a 500 that the client caused", () =>
    Effect.gen(function* () {
      for (
        const [status, body, kind] of [
          [404, `{"error":"blob not there"}`, "ignored"],
          [405, `{"detail":"Method Not Allowed"}`, "ignored"],
          [400, `{"error":"bad"}`, "ignored"],
          [501, `{"error":"no embeddings"}`, "ignored"],
          [500, `{"error":"option \\"num_ctx\\" must be of type integer"}`, "ignored"],
          [500, `{"error":"invalid format: \\"xml\\""}`, "ignored"],
          [500, `{ "error" : "option \\"num_ctx\\" must be of type integer" }`, "ignored"],
          [500, `{"error":{"message":"invalid format: \\"xml\\"","type":"api_error"}}\n`, "ignored"],
          [500, `{"error":"prediction aborted, token repeat limit reached"}`, "ignored"],
          [500, `{"x":"option ","error":"the runner has stopped"}`, "failure"],
          [500, `{"error":"llama-server process has terminated"}`, "failure"],
        ] as const
      ) {
        const { fiber, released, reply, upstream } = yield* start()
        upstream.answer(status, body).end()
        assert.strictEqual((yield* Fiber.join(fiber))._tag, "Answered")
        assert.strictEqual(reply.text, body)
        assert.strictEqual(released[0]!.kind, kind, body)
      }
    }))

  it.effect("holds a 404 for a missing model back, so that another owner can be tried", () =>
    Effect.gen(function* () {
      const { fiber, released, reply, upstream } = yield* start()
      upstream.answer(404, `{"error":"model 'x' `, `not found"}`).end()
      assert.strictEqual((yield* Fiber.join(fiber))._tag, "Retry")
      assert.deepStrictEqual(released, [{ kind: "ignored", cause: "http-404" }])
      assert.isFalse(reply.committed)
    }))

  it.effect("holds the 404 page of a backend that does not have the path back, so that another one can be tried", () =>
    Effect.gen(function* () {
      for (
        const [status, body] of [
          [404, "404 page not found"],
          [404, "404 page not found\n"],
          [404, ""],
          [404, "<html><body>Not Found</body></html>"],
          [405, "405 method not allowed"],
        ] as const
      ) {
        const { fiber, released, reply, upstream } = yield* start()
        upstream.answer(status, body).end()
        const attempt = yield* Fiber.join(fiber)
        assert(attempt._tag === "Retry", body)
        assert.deepStrictEqual([attempt.answer?.status, attempt.answer?.body], [status, bytes(body)])
        assert.deepStrictEqual(released, [{ kind: "ignored", cause: "not-offered" }])
        assert.isFalse(reply.committed)
      }
    }))

  it.effect("an answer in one piece is whole when its framing says so, whatever its text says", () =>
    Effect.gen(function* () {
      for (
        const body of [
          `{"response":"x","done":false}`,
          `{"response":"x","done" : false}`,
          `{"response":"say \\"done\\":false","done":true,"eval_count":2}`,
          `{"response":"x","done":true}`,
          `{"response":"x"}`,
          `{"response":"${"x".repeat(200_000)}","done":false}`,
          "not JSON at all",
        ]
      ) {
        for (const cut of [0, 1, body.length - 8]) {
          const { fiber, released, reply, upstream } = yield* start("done-true", false)
          upstream.answer(200, body.slice(0, cut), body.slice(cut)).end()
          yield* Fiber.join(fiber)
          assert.strictEqual(reply.text, body)
          assert.strictEqual(reply.ended, 1)
          assert.strictEqual(released[0]!.kind, "success", `${body.slice(-40)} cut at ${cut}`)
        }
      }
    }))

  it.effect("a document is no end of a stream whose head a heartbeat has sent", () =>
    Effect.gen(function* () {
      for (
        const [headers, body] of [
          [["Content-Type", "text/html", "Content-Length", "26"], "<html>It works!</html>"],
          [["Content-Type", "application/json", "Content-Length", "30"], `{"response":"x","done":false}`],
          [["Content-Length", "2"], "ok"],
        ] as const
      ) {
        for (const begun of [true, false]) {
          const { fiber, released, reply, upstream } = yield* start("done-true", true)
          reply.committed = begun
          upstream.to.head(200, [...headers])
          upstream.to.data(bytes(body))
          upstream.end()
          yield* Fiber.join(fiber)
          assert.strictEqual(reply.text, body)
          assert.lengthOf(reply.refusals, begun ? 1 : 0, body)
          assert.strictEqual(released[0]!.cause, begun ? "truncated" : "ok")
        }
      }
    }))

  it.effect("an answer in one piece that breaks off is a failure, whatever came of it", () =>
    Effect.gen(function* () {
      for (const part of [`{"response":"x","done":true}`, `{"response":"x","done":false}`, `{"resp`]) {
        const { fiber, released, reply, upstream } = yield* start("done-true", false)
        upstream.answer(200, part).fail("Reset")
        yield* Fiber.join(fiber)
        assert.strictEqual(reply.ended, 0)
        assert.deepStrictEqual(released, [{ kind: "failure", cause: "reset-midway" }])
      }
    }))

  it.effect("a client that asked for a stream and got another whole answer gets nothing added to it", () =>
    Effect.gen(function* () {
      const json = ["Content-Type", "application/json"]
      for (
        const [streamEnd, headers, body, ended] of [
          ["done-true", [...json, "Content-Length", "29"], `{"response":"x","done":false}`, 1],
          ["done-marker", [...json, "Content-Length", "14"], `{"choices":[]}`, 1],
          ["done-marker", json, `{"choices":[]}`, 1],
          ["message-stop", ["content-type", "application/json; charset=utf-8"], `{\n\n"type": "message"\n}`, 1],
          ["response-completed", json, `{"object":"response","status":"incomplete"}`, 1],
          ["done-true", ["Content-Type", "text/html", "Content-Length", "6"], "<html>", 1],
          // These are streams.
          ["done-true", ["Content-Type", "application/x-ndjson", "Content-Length", "30"], line, 0],
          ["done-true", json, line + line, 0],
          ["done-marker", ["Content-Type", "text/event-stream; charset=utf-8"], "", 0],
          ["done-marker", json, "data: {}\n\n", 0],
        ] as const
      ) {
        const { fiber, released, reply, upstream } = yield* start(streamEnd)
        upstream.to.head(200, headers)
        upstream.to.data(bytes(body))
        upstream.end()
        yield* Fiber.join(fiber)
        assert.strictEqual(reply.ended, ended, `${headers.join()} ${body}`)
        assert.strictEqual(reply.text, body)
        assert.strictEqual(released[0]!.kind, ended === 1 ? "success" : "ignored")
      }
    }))

  it.effect("a large error answer to a client that asked for a stream ends as it is", () =>
    Effect.gen(function* () {
      const { fiber, released, reply, upstream } = yield* start()
      const page = "x".repeat(100_000)
      upstream.answer(500, page).end()
      yield* Fiber.join(fiber)
      assert.strictEqual(reply.text, page)
      assert.strictEqual(reply.ended, 1)
      assert.deepStrictEqual(released, [{ kind: "failure", cause: "http-500" }])
    }))

  for (const reason of ["Exhausted", "Invalid"] as const) {
    it.effect(`${reason} is a fault of the router and does not count against the backend`, () =>
      Effect.gen(function* () {
        const { fiber, released, upstream } = yield* start()
        upstream.fail(reason)
        assert.strictEqual((yield* Fiber.join(fiber))._tag, "Retry")
        assert.strictEqual(released[0]!.kind, "ignored")
      }))
  }

  it.effect("a backend that takes no bytes of the body for 10 seconds fails; one that takes some gets more time", () =>
    Effect.gen(function* () {
      const { fiber, released, upstream } = yield* start()
      upstream.left = 1000
      yield* TestClock.adjust("9 seconds")
      upstream.left = 500
      yield* TestClock.adjust("9 seconds")
      assert.isUndefined(fiber.pollUnsafe())
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual((yield* Fiber.join(fiber))._tag, "Retry")
      assert.isTrue(upstream.aborted)
      assert.deepStrictEqual(released, [{ kind: "failure", cause: "write-timeout" }])
    }))

  it.effect("the limit for the first byte begins when the backend has taken the whole body", () =>
    Effect.gen(function* () {
      const { fiber, released, upstream } = yield* start()
      upstream.left = 1000
      yield* TestClock.adjust("9 seconds")
      upstream.left = 0
      yield* TestClock.adjust("119 seconds")
      assert.isUndefined(fiber.pollUnsafe())
      yield* TestClock.adjust("2 seconds")
      yield* Fiber.join(fiber)
      assert.strictEqual(released[0]!.cause, "first-byte-timeout")
    }))

  it.effect("a limit for the whole attempt, if one is set, does not count against the backend, and nothing is retried", () =>
    Effect.gen(function* () {
      for (const answered of [true, false]) {
        const { fiber, released, reply, upstream } = yield* start("done-true", true, { totalMillis: 30_000 })
        if (answered) upstream.answer(200, line)
        yield* TestClock.adjust("29 seconds")
        assert.isUndefined(fiber.pollUnsafe())
        yield* TestClock.adjust("2 seconds")
        const attempt = yield* Fiber.join(fiber)
        assert(attempt._tag === "Answered")
        assert.strictEqual(attempt.status, answered ? 200 : 504)
        assert.isTrue(upstream.aborted)
        assert.strictEqual(reply.refusals[0]!.status, 504)
        assert.deepStrictEqual(released, [{ kind: "ignored", cause: "total-timeout" }])
      }
    }))

  it.effect("a reply that aborts ends the attempt", () =>
    Effect.gen(function* () {
      const { fiber, relay, released, reply, upstream } = yield* start()
      upstream.answer(200, line)
      reply.upstream!.abort()
      assert.strictEqual((yield* Fiber.join(fiber))._tag, "Answered")
      assert.isTrue(upstream.aborted)
      assert.lengthOf(released, 1)
      assert.strictEqual(relay.active(), 0)
    }))

  it.effect("a line of 8 MiB is passed on, and the end of the stream is still recognised", () =>
    Effect.gen(function* () {
      const { fiber, released, reply, upstream } = yield* start()
      const piece = bytes("x".repeat(65_536))
      upstream.answer(200, `{"response":"`)
      for (let i = 0; i < 128; i++) upstream.to.data(piece)
      upstream.to.data(bytes(`","done":false}\n${last}`))
      upstream.end()
      yield* Fiber.join(fiber)
      assert.strictEqual(reply.ended, 1)
      assert.isAbove(reply.bytes, 8 * 1024 * 1024)
      assert.strictEqual(released[0]!.kind, "success")
    }))

  it.effect("a stream without its last record gets an error record, and is no failure of the backend", () =>
    Effect.gen(function* () {
      const { fiber, released, reply, upstream } = yield* start()
      upstream.answer(200, line, line).end()
      yield* Fiber.join(fiber)
      assert.strictEqual(reply.refusals[0]!.reason, "BackendFailed")
      assert.deepStrictEqual(released, [{ kind: "ignored", cause: "truncated" }])
    }))

  it.effect("the backend's own error record is passed on unchanged, and counts as failure", () =>
    Effect.gen(function* () {
      const { fiber, released, reply, upstream } = yield* start()
      upstream.answer(200, line, `{"error":"an error was encountered while running the model"}\n`).end()
      yield* Fiber.join(fiber)
      assert.strictEqual(reply.ended, 1)
      assert.strictEqual(released[0]!.cause, "error-record")
    }))

  it.effect("an error record that the model or the prompt caused is no failure of the backend", () =>
    Effect.gen(function* () {
      const text = "prediction aborted, token repeat limit reached"
      for (
        const [streamEnd, record, kind] of [
          ["done-true", `{"error":"${text}"}\n`, "ignored"],
          ["done-true", `{ "error" : "${text}" }`, "ignored"],
          ["done-marker", `data: {"error":{"message":"${text}"}}\n\n`, "ignored"],
          ["message-stop", `event: error\r\ndata:{"type":"error","error":{"message":"${text}"}}\r\n\r\n`, "ignored"],
          ["done-true", `{"response":"${text}","done":false}\n{"error":"the runner has stopped"}\n`, "failure"],
          ["done-marker", `data: {"text":"${text}"}\n\ndata: {"error":{"message":"stopped"}}\n\n`, "failure"],
        ] as const
      ) {
        const { fiber, released, reply, upstream } = yield* start(streamEnd)
        upstream.answer(200, record).end()
        yield* Fiber.join(fiber)
        assert.strictEqual(reply.ended, 1)
        const cause = kind === "failure" ? "error-record" : "error-record-client"
        assert.deepStrictEqual(released, [{ kind, cause }], record)
      }
    }))

  it.effect("a reset in the middle ends in an error record, and is never retried", () =>
    Effect.gen(function* () {
      const { fiber, released, reply, upstream } = yield* start()
      upstream.answer(200, line).fail("Reset")
      assert.strictEqual((yield* Fiber.join(fiber))._tag, "Answered")
      assert.lengthOf(reply.refusals, 1)
      assert.strictEqual(released[0]!.cause, "reset-midway")
    }))

  it.effect("a reset after the last record is no failure, since the client has its answer", () =>
    Effect.gen(function* () {
      const { fiber, released, reply, upstream } = yield* start()
      upstream.answer(200, line, last).fail("Reset")
      yield* Fiber.join(fiber)
      assert.strictEqual(reply.ended, 1)
      assert.lengthOf(reply.refusals, 0)
      assert.strictEqual(released[0]!.kind, "success")
    }))

  it.effect("a reset after the backend's own error record adds no second one", () =>
    Effect.gen(function* () {
      const { fiber, released, reply, upstream } = yield* start()
      upstream.answer(200, line, `{ "error" : "boom" }\r\n`).fail("Reset")
      yield* Fiber.join(fiber)
      assert.strictEqual(reply.ended, 1)
      assert.lengthOf(reply.refusals, 0)
      assert.deepStrictEqual(released, [{ kind: "failure", cause: "error-record" }])
    }))

  it.effect("without a first byte in time the call is aborted, and another attempt may follow", () =>
    Effect.gen(function* () {
      const { fiber, released, reply, upstream } = yield* start()
      yield* TestClock.adjust("121 seconds")
      const attempt = yield* Fiber.join(fiber)
      assert.strictEqual(attempt._tag, "Retry")
      assert.isTrue(upstream.aborted)
      assert.strictEqual(released[0]!.cause, "first-byte-timeout")
      assert.strictEqual(reply.endings, 0)
    }))

  it.effect("an answer that does not stream has a longer limit", () =>
    Effect.gen(function* () {
      const { fiber, upstream } = yield* start("done-true", false)
      yield* TestClock.adjust("599 seconds")
      assert.isUndefined(fiber.pollUnsafe())
      upstream.answer(200, last).end()
      assert.strictEqual((yield* Fiber.join(fiber))._tag, "Answered")
    }))

  it.effect("a gap in the middle ends in an error record", () =>
    Effect.gen(function* () {
      const { fiber, released, reply, upstream } = yield* start()
      upstream.answer(200, line)
      yield* TestClock.adjust("119 seconds")
      upstream.to.data(bytes(line))
      yield* TestClock.adjust("121 seconds")
      yield* Fiber.join(fiber)
      assert.isTrue(upstream.aborted)
      assert.lengthOf(reply.refusals, 1)
      assert.strictEqual(released[0]!.cause, "gap-timeout")
    }))

  it.effect("a client that does not read is cut off, and the backend does not count as failed", () =>
    Effect.gen(function* () {
      const { fiber, released, reply, upstream } = yield* start()
      upstream.answer(200, line)
      reply.upstream!.pause()
      assert.isTrue(upstream.paused)
      yield* TestClock.adjust("61 seconds")
      yield* Fiber.join(fiber)
      assert.isTrue(upstream.aborted)
      assert.lengthOf(reply.failed, 1)
      assert.strictEqual(released[0]!.kind, "ignored")
    }))

  it.effect("a slow client's pauses do not count as the backend's silence", () =>
    Effect.gen(function* () {
      const { fiber, reply, upstream } = yield* start()
      upstream.answer(200, line)
      for (let i = 0; i < 5; i++) {
        reply.upstream!.pause()
        yield* TestClock.adjust("50 seconds")
        reply.upstream!.resume()
      }
      assert.isUndefined(fiber.pollUnsafe())
      upstream.to.data(bytes(last))
      upstream.end()
      yield* Fiber.join(fiber)
    }))

  it.effect("interruption aborts the call, and the outcome is ignored", () =>
    Effect.gen(function* () {
      const { fiber, relay, released, upstream } = yield* start()
      upstream.answer(200, line)
      yield* Fiber.interrupt(fiber)
      assert.isTrue(upstream.aborted)
      assert.strictEqual(released[0]!.cause, "client-gone")
      assert.strictEqual(relay.active(), 0)
    }))

  const terminated: ReadonlyArray<readonly [StreamEnd, string, string]> = [
    [
      "done-true",
      `{"message":{"content":"{\\"done\\":true}"},"done":false}\n`,
      `{"done":true,"context":[1,2],"eval_count":2}\n`,
    ],
    ["done-marker", `data: {"choices":[{"delta":{"content":"data: [DONE]"}}]}\n\n`, "data: [DONE]\n\n"],
    [
      "message-stop",
      `event: content_block_delta\ndata: {"delta":{"text":"\\"type\\":\\"message_stop\\""}}\n\n`,
      `event: message_stop\ndata: {"type":"message_stop"}\n\n`,
    ],
    [
      "response-completed",
      `event: response.output_text.delta\ndata: {"delta":"x","type":"response.output_text.delta"}\n\n`,
      `event: response.completed\ndata: {"response":{"output":[]},"sequence_number":9,"type":"response.completed"}\n\n`,
    ],
  ]
  for (const [streamEnd, record, terminator] of terminated) {
    // Invariant 7: bytes are passed on unchanged however they are cut, and an answer without a terminator is not whole.
    it.effect.prop(
      `bytes pass unchanged and the end of ${streamEnd} is recognised, however the stream is cut`,
      {
        records: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 5 })),
        cuts: Schema.Array(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 2000 }))),
        whole: Schema.Boolean,
      },
      ({ cuts, records, whole }) =>
        Effect.gen(function* () {
          const sent = record.repeat(records) + (whole ? terminator : "")
          if (sent === "") return
          const { fiber, released, reply, upstream } = yield* start(streamEnd)
          upstream.answer(200)
          const at = [0, ...cuts.map((cut) => cut % sent.length).sort((x, y) => x - y), sent.length]
          for (let i = 1; i < at.length; i++) upstream.to.data(bytes(sent.slice(at[i - 1], at[i])))
          upstream.end()
          yield* Fiber.join(fiber)
          assert.strictEqual(reply.text, sent)
          assert.strictEqual(reply.endings, 1)
          assert.strictEqual(reply.ended, whole ? 1 : 0)
          assert.strictEqual(released[0]!.kind, whole ? "success" : "ignored")
        }),
      { arbitrary: { runs: 300, size: 30, seed: streamEnd } },
    )
  }

  it.effect("a last record of a megabyte is recognised", () =>
    Effect.gen(function* () {
      const { fiber, released, upstream } = yield* start()
      upstream.answer(200, line)
      const long = `{"done":true,"context":[${"1,".repeat(500_000)}1],"eval_count":2}\n`
      for (let i = 0; i < long.length; i += 65_536) upstream.to.data(bytes(long.slice(i, i + 65_536)))
      upstream.end()
      yield* Fiber.join(fiber)
      assert.strictEqual(released[0]!.kind, "success")
    }))

  describe("an answer that is encoded in spite of `identity`", () => {
    const gzipped = ["Content-Type", "application/x-ndjson", "Content-Encoding", "gzip", "Content-Length", "9"]
    const dressed = (...records: ReadonlyArray<string>): ReadonlyArray<Uint8Array> => {
      const dress = new Dress({}, "gzip")
      return [...records.map((record) => dress.piece(bytes(record))), dress.last()!]
    }

    it.effect("is passed on as it is, and cut where it breaks off", () =>
      Effect.gen(function* () {
        for (const complete of [true, false]) {
          const { fiber, released, reply, upstream } = yield* start()
          const chunks = dressed(line, last)
          upstream.to.head(200, gzipped)
          for (const chunk of complete ? chunks : chunks.slice(0, 2)) upstream.to.data(chunk)
          if (complete) upstream.end()
          else upstream.fail("Reset")
          yield* Fiber.join(fiber)
          assert.strictEqual(header(reply.rawHeaders, "content-encoding"), "gzip")
          assert.deepStrictEqual([reply.ended, reply.refusals.length], complete ? [1, 0] : [0, 1])
          assert.deepStrictEqual(released[0]!.cause, complete ? "ok" : "reset-midway")
        }
      }))

    it.live("is decoded where the router has to read it", () =>
      Effect.gen(function* () {
        for (const [encoding, encode] of encodings) {
          const { fiber, released, reply, upstream } = yield* start("done-true", true, {}, true)
          upstream.to.head(200, ["Content-Encoding", encoding, "content-length", "9", "X-A", "b"])
          const body = encode(bytes(line + last))
          for (let at = 0; at < body.length; at += 7) upstream.to.data(body.subarray(at, at + 7))
          upstream.end()
          yield* Fiber.join(fiber)
          assert.deepStrictEqual(reply.rawHeaders, ["X-A", "b"])
          assert.strictEqual(reply.text, line + last, encoding)
          assert.strictEqual(reply.ended, 1)
          assert.strictEqual(released[0]!.kind, "success")
        }
      }))

    it.live("what came before it broke off is decoded first, and an error record follows", () =>
      Effect.gen(function* () {
        const { fiber, released, reply, upstream } = yield* start("done-true", true, {}, true)
        upstream.to.head(200, gzipped)
        for (const chunk of dressed(line, last).slice(0, 1)) upstream.to.data(chunk)
        upstream.fail("Reset")
        yield* Fiber.join(fiber)
        assert.strictEqual(reply.text, line)
        assert.lengthOf(reply.refusals, 1)
        assert.deepStrictEqual(released, [{ kind: "failure", cause: "reset-midway" }])
      }))

    it.live("a stream that is decoded and ends without its last record gets an error record", () =>
      Effect.gen(function* () {
        const { fiber, released, reply, upstream } = yield* start("done-true", true, {}, true)
        upstream.to.head(200, gzipped)
        for (const chunk of dressed(line, line)) upstream.to.data(chunk)
        upstream.end()
        yield* Fiber.join(fiber)
        assert.strictEqual(reply.text, line + line)
        assert.lengthOf(reply.refusals, 1)
        assert.deepStrictEqual(released, [{ kind: "ignored", cause: "truncated" }])
      }))

    it.live("after a heartbeat it is decoded, because the head that was sent says nothing of an encoding", () =>
      Effect.gen(function* () {
        const { fiber, reply, upstream } = yield* start()
        upstream.to.head(200, gzipped)
        reply.committed = true
        for (const chunk of dressed(line, last)) upstream.to.data(chunk)
        upstream.end()
        yield* Fiber.join(fiber)
        assert.strictEqual(reply.text, line + last)
        assert.strictEqual(reply.ended, 1)
      }))

    it.live("error answers are decoded: their text decides what follows", () =>
      Effect.gen(function* () {
        for (
          const [status, body, tag, kind] of [
            [404, `{"error":"model 'x' not found"}`, "Retry", "ignored"],
            [500, `{"error":"option \\"num_ctx\\" must be of type integer"}`, "Answered", "ignored"],
            [500, `{"error":"${"x".repeat(100_000)}"}`, "Answered", "failure"],
            [503, "", "Retry", "saturated"],
          ] as const
        ) {
          const { fiber, released, reply, upstream } = yield* start()
          upstream.to.head(status, ["Content-Encoding", "gzip"])
          if (body !== "") upstream.to.data(gzipSync(bytes(body)))
          upstream.end()
          const attempt = yield* Fiber.join(fiber)
          assert.strictEqual(attempt._tag, tag)
          if (attempt._tag === "Retry") assert.strictEqual(new TextDecoder().decode(attempt.answer!.body), body)
          else assert.strictEqual(reply.text, body)
          assert.strictEqual(released[0]!.kind, kind)
        }
      }))

    it.live("what cannot be decoded is a failure, and another backend may be tried", () =>
      Effect.gen(function* () {
        for (
          const [encoding, chunks, ends] of [
            ["gzip", [bytes("this is not gzip")], true],
            ["gzip", dressed(line, last).slice(0, 2), true],
            ["br", [bytes("neither is this")], true],
            ["rot13", [bytes("x")], false],
            ["gzip, br", [bytes("x")], false],
          ] as const
        ) {
          const { fiber, released, reply, upstream } = yield* start("done-true", false, {}, true)
          upstream.to.head(200, ["Content-Encoding", encoding])
          for (const chunk of chunks) upstream.to.data(chunk)
          if (ends) upstream.end()
          const attempt = yield* Fiber.join(fiber)
          assert.deepStrictEqual(released, [{ kind: "failure", cause: "protocol" }])
          assert.strictEqual(attempt._tag, reply.bytes > 0 ? "Answered" : "Retry")
          assert.strictEqual(reply.ended, 0)
        }
      }))

    it.live("a reply that is full gets no more of a small body that decodes to much", () =>
      Effect.gen(function* () {
        const { fiber, relay, reply, upstream } = yield* start("done-true", false, {}, true)
        upstream.to.head(200, ["Content-Encoding", "gzip"])
        const full = new Promise<void>((resolve) => {
          const take = reply.data.bind(reply)
          reply.data = (chunk) => {
            take(chunk)
            reply.upstream!.pause()
            resolve()
          }
        })
        upstream.to.data(gzipSync(new Uint8Array(64 * 1024 * 1024)))
        upstream.end()
        yield* Effect.promise(() => full)
        for (let turn = 0; turn < 20; turn++) {
          yield* Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))
        }
        assert.isBelow(reply.bytes, 512 * 1024)
        assert.isTrue(upstream.paused)
        reply.upstream!.abort()
        yield* Fiber.join(fiber)
        assert.strictEqual(relay.active(), 0)
      }))
  })
})
