import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { GenerateV1Reply } from "../../../src/layers/server/generateV1.ts"
import { ReplyBase } from "../../../src/layers/server/ReplyBase.ts"
import { refuse } from "../../../src/services/Refusal.ts"
import { header } from "../../../src/services/RoutedRequest.ts"
import { TransportError } from "../../../src/services/Transport.ts"
import { bytes, cut, endpoint, random, text, Told } from "../../wire/support.ts"

/** A reply that writes to memory, for a client that can be slow. */
class Memory extends ReplyBase {
  code = 0
  headers: ReadonlyArray<string> = []
  readonly chunks: Array<Uint8Array> = []
  finished = false
  destroyed = false
  slow = false
  constructor(path: string, streams = true) {
    super(endpoint(path), "r1", [])
    this.describe("m", streams)
  }
  protected start(status: number, headers: Array<string>) {
    assert.strictEqual(this.code, 0)
    this.code = status
    this.headers = headers
  }
  protected write(chunk: Uint8Array) {
    assert.isFalse(this.finished)
    this.chunks.push(chunk)
    return !this.slow
  }
  protected finish() {
    this.finished = true
  }
  protected destroy() {
    this.destroyed = true
  }
  protected now() {
    return 0
  }
  get body() {
    return text(this.chunks)
  }
}

const broken = new TransportError({ reason: "Reset", backend: "b", description: "reset" })
const ndjson = ["Content-Type", "application/x-ndjson"]

describe("reply", () => {
  it.effect.prop(
    "gives the client the backend's bytes unchanged, with heartbeats between records only",
    { seed: Schema.Int },
    ({ seed }) =>
      Effect.sync(() => {
        const rng = random(seed)
        const native = rng.below(2) === 0
        const end = native ? "\n" : "\n\n"
        const records = Array.from({ length: rng.below(8) }, (_, i) =>
          `{"i":${i},"t":"${"é".repeat(rng.below(9))}"}${end}`)
        const reply = new Memory(native ? "/api/generate" : "/v1/messages")
        const upstream = new Told()
        if (rng.below(4) === 0) {
          reply.heartbeat()
        }
        reply.open(upstream)
        reply.head(200, ndjson)
        for (const chunk of cut(bytes(records.join("")), rng)) {
          reply.slow = rng.below(4) === 0
          if (reply.blocked && rng.below(2) === 0) {
            reply.unblock()
          }
          reply.data(chunk)
          if (rng.below(3) === 0) {
            reply.heartbeat()
          }
        }
        reply.end()
        const beat = native ? /\{"model":"m","created_at":"[^"]*","response":"","done":false\}\n/g : /: keep-alive\n\n/g
        assert.strictEqual(reply.body.replaceAll(beat, ""), records.join(""))
        assert.isTrue(reply.finished)
        for (
          const line of native
            ? reply.body.trim().split("\n").filter((one) => one !== "")
            : []
        ) JSON.parse(line)
        assert.strictEqual(reply.bytes, bytes(records.join("")).length)
      }),
    { arbitrary: { runs: 1000, size: 30, seed: "reply" } },
  )

  it("holds the head back until there are bytes to send with it", () => {
    const reply = new Memory("/api/chat")
    reply.annotate(["X-Backend", "a"])
    reply.open(new Told())
    reply.head(200, ndjson)
    assert.isFalse(reply.committed)
    reply.data(bytes("{}"))
    assert.isTrue(reply.committed)
    assert.deepStrictEqual(reply.headers, [
      ...ndjson,
      ...["X-Request-Id", "r1", "X-Backend", "a"],
    ])
  })

  describe("the dialect generate-v1", () => {
    const generateV1 = (streams: boolean) => {
      const reply = new Memory("/api/v1/generate")
      const upstream = new Told()
      const translated = new GenerateV1Reply(reply, streams)
      translated.open(upstream)
      translated.head(200, ndjson)
      return { reply, upstream, translated }
    }

    it("a line of more than 8 MiB ends the answer and aborts the backend's call", () => {
      const { reply, translated, upstream } = generateV1(true)
      for (let i = 0; i < 129; i++) translated.data(new Uint8Array(65_536).fill(0x78))
      assert.deepStrictEqual(upstream.calls, ["abort"])
      assert.strictEqual(reply.code, 502)
    })

    it("a whole answer in one piece is passed on, whatever it says of its text", () => {
      for (
        const [body, wanted] of [
          [`{"response":"half","done":false}`, { response: "half", done: false }],
          [`{ "done" : false, "response" : "half" }`, { response: "half", done: false }],
          [`{"response":"half"}`, { response: "half", done: false }],
          [`\n{"response":"", "done": true}\r\n`, { response: "" }],
        ] as const
      ) {
        const { reply, translated } = generateV1(false)
        translated.data(bytes(body))
        translated.end()
        assert.strictEqual(reply.code, 200)
        const figures = { total_duration_ms: 0, eval_count: 0, load_duration_ms: 0 }
        assert.deepStrictEqual(JSON.parse(reply.body), { ...wanted, ...figures })
      }
    })

    it("what is no answer is refused, and an error is told", () => {
      for (
        const [body, error] of [
          [`{"error":"boom"}`, "boom"],
          [`{"error":{"message":"boom"}}`, `{"message":"boom"}`],
          [`{"status":"success"}`, "the backend's answer could not be read"],
          [`{"response":"half`, "the backend's answer could not be read"],
          [`[]`, "the backend's answer could not be read"],
        ] as const
      ) {
        const { reply, translated } = generateV1(false)
        translated.data(bytes(body))
        translated.end()
        assert.strictEqual(reply.code, 502)
        assert.deepStrictEqual(JSON.parse(reply.body), { error })
      }
    })

    it("lines may end in CR, LF or CRLF, and an empty error is none", () => {
      for (const end of ["\n", "\r\n", "\r", "\n\n"]) {
        const { reply, translated } = generateV1(true)
        const lines = [
          `{"response": "a", "done": false, "error": null}`,
          `{ "response":"", "done" : true, "error":"" }`,
        ]
        for (const chunk of cut(bytes(lines.map((one) => one + end).join("")), random(1))) translated.data(chunk)
        translated.end()
        const events = reply.body.split("\n\n").slice(0, -1).map((event) => JSON.parse(event.slice("data: ".length)))
        assert.deepStrictEqual(events.map(({ done, error }) => [done, error]), [[false, undefined], [true, undefined]])
      }
    })
  })

  it("a heartbeat comes between two records only, however lines end", () => {
    for (
      const [path, record, after] of [
        ["/api/chat", `{"a":1}\n`, true],
        ["/api/chat", `{"a":1}\r\n`, true],
        ["/api/chat", `{"a":1}\n\n`, true],
        ["/api/chat", `{"a":1}`, false],
        // A line feed may follow, and a blank line breaks the official clients.
        ["/api/chat", `{"a":1}\r`, false],
        ["/v1/messages", `event: x\ndata: {}\n\n`, true],
        ["/v1/messages", `event: x\r\ndata: {}\r\n\r\n`, true],
        ["/v1/messages", `event: x\rdata: {}\r\r`, true],
        ["/v1/messages", `event: x\ndata: {}\r\n\n`, true],
        ["/v1/messages", `: c\n\n`, true],
        ["/v1/messages", `event: x\r\ndata: {}\r\n`, false],
        ["/v1/messages", `event: x\r\n`, false],
        ["/v1/messages", `event: x\rdata: {}\r`, false],
        ["/v1/messages", `event: x\n`, false],
        ["/v1/messages", `data: {}`, false],
      ] as const
    ) {
      for (const size of [1, 2, 3, record.length]) {
        const reply = new Memory(path)
        reply.head(200, path === "/api/chat" ? ndjson : ["Content-Type", "text/event-stream"])
        for (let at = 0; at < record.length; at += size) reply.data(bytes(record.slice(at, at + size)))
        reply.heartbeat()
        assert.strictEqual(reply.body !== record, after, `${JSON.stringify(record)} in pieces of ${size}`)
      }
    }
  })

  it("a stream with a declared length goes on without it, so that a record can be added", () => {
    const reply = new Memory("/api/chat")
    reply.head(200, [...ndjson, "Content-Length", "8", "X-A", "b"])
    reply.data(bytes(`{"a":1}\n`))
    reply.refuse(refuse("BackendFailed", "broke"))
    assert.isUndefined(header(reply.headers, "content-length"))
    assert.strictEqual(header(reply.headers, "x-a"), "b")
    assert.strictEqual(reply.body, `{"a":1}\n{"error":"broke"}\n`)
  })

  it("nothing is added to an answer that is encoded, measured or no stream of its dialect; it is cut", () => {
    for (
      const [path, headers] of [
        ["/api/chat", [...ndjson, "Content-Encoding", "gzip"]],
        ["/api/chat", [...ndjson, "content-encoding", "br", "Content-Length", "99"]],
        ["/v1/messages", ["Content-Type", "text/event-stream", "Content-Encoding", "zstd"]],
        ["/api/chat", ["Content-Type", "application/json", "Content-Length", "99"]],
        ["/v1/messages", ["Content-Type", "application/json"]],
      ] as const
    ) {
      const reply = new Memory(path)
      reply.head(200, headers)
      reply.data(bytes("x\n\n"))
      reply.heartbeat()
      assert.strictEqual(reply.body, "x\n\n")
      reply.refuse(refuse("BackendFailed", "broke"))
      assert.strictEqual(reply.body, "x\n\n")
      assert.deepStrictEqual([reply.destroyed, reply.finished], [true, false], headers.join())
    }
    const plain = new Memory("/api/chat")
    plain.head(200, [...ndjson, "Content-Encoding", "identity"])
    plain.data(bytes("{}\n"))
    plain.refuse(refuse("BackendFailed", "broke"))
    assert.strictEqual(plain.body, `{}\n{"error":"broke"}\n`)
  })

  it("pauses the backend for a slow client, and cuts a stalled client off", () => {
    const reply = new Memory("/api/chat")
    const upstream = new Told()
    reply.open(upstream)
    reply.head(200, ndjson)
    reply.slow = true
    reply.data(bytes("{}\n"))
    reply.data(bytes("{}\n"))
    assert.deepStrictEqual(upstream.calls, ["pause"])
    reply.unblock()
    reply.unblock()
    assert.deepStrictEqual(upstream.calls, ["pause", "resume"])
    reply.data(bytes("{}\n"))
    reply.fail(broken)
    assert.isTrue(reply.destroyed)
  })

  it("ends a stream that fails with an error record, after the last whole record", () => {
    const reply = new Memory("/api/chat")
    reply.head(200, ndjson)
    reply.data(bytes(`{"a":1}\n{"half`))
    reply.refuse(refuse("BackendFailed", "broke"))
    assert.strictEqual(reply.body, `{"a":1}\n{"half\n{"error":"broke"}\n`)
    assert.isTrue(reply.finished)
  })

  it("breaks the connection when an answer in one piece is cut", () => {
    const reply = new Memory("/api/embed", false)
    reply.head(200, ["Content-Length", "100"])
    reply.data(bytes(`{"half`))
    reply.fail(broken)
    assert.isTrue(reply.destroyed)
    assert.isFalse(reply.finished)
  })

  it("answers a failure that comes before the head with a status", () => {
    const reply = new Memory("/v1/chat/completions")
    reply.fail(broken)
    assert.strictEqual(reply.code, 502)
    assert.isFalse(reply.body.includes("reset"))
    assert.strictEqual(header(reply.headers, "content-length"), String(reply.body.length))
  })

  it("does nothing after the end, and nothing after the client has left", () => {
    const reply = new Memory("/api/chat")
    reply.leave()
    const upstream = new Told()
    reply.open(upstream)
    reply.head(200, [])
    reply.data(bytes("x"))
    reply.heartbeat()
    reply.refuse(refuse("QueueFull", "busy"))
    reply.end()
    assert.strictEqual(reply.code, 0)
    assert.deepStrictEqual(upstream.calls, ["abort"])
  })

  it("sends heartbeats only to clients that asked for a stream", () => {
    const whole = new Memory("/api/chat", false)
    whole.heartbeat()
    assert.isFalse(whole.committed)
    const reply = new Memory("/v1/chat/completions")
    reply.heartbeat()
    assert.strictEqual(reply.code, 200)
    assert.strictEqual(header(reply.headers, "content-type"), "text/event-stream")
    assert.strictEqual(reply.bytes, 0)
  })

  it("turns an error answer that comes after heartbeats into a record", () => {
    const reply = new Memory("/v1/chat/completions")
    reply.heartbeat()
    reply.head(500, ["Content-Type", "application/json"])
    reply.data(bytes(`{"error":{"mess`))
    reply.data(bytes(`age":"boom"}}`))
    reply.end()
    assert.strictEqual(reply.body, `: keep-alive\n\ndata: {"error":{"message":"boom"}}\n\n`)
  })

  it("turns an error page into a record, too", () => {
    for (const page of ["<html>\nBad Gateway\n</html>", `{"error":"${"x".repeat(100_000)}"}`]) {
      const reply = new Memory("/api/generate")
      reply.heartbeat()
      reply.head(502, ["Content-Type", "text/html"])
      for (const chunk of cut(bytes(page), random(1))) reply.data(chunk)
      reply.end()
      assert.include(reply.body, `"done":false}\n{"error":"the backend answered 502"}\n`)
      assert.isTrue(reply.finished)
    }
  })
})

describe("GenerateV1Reply", () => {
  const line = (response: string, rest = `"done":false`) =>
    `{"model":"m","response":${JSON.stringify(response)},${rest}}\n`
  const last = `"done":true,"done_reason":"stop","context":[1,2],"total_duration":7500000,"eval_count":3`

  it.effect.prop(
    "turns lines into events, however the lines are cut into chunks",
    { seed: Schema.Int },
    ({ seed }) =>
      Effect.sync(() => {
        const rng = random(seed)
        const memory = new Memory("/api/v1/generate")
        const reply = new GenerateV1Reply(memory, true)
        reply.open(new Told())
        reply.head(200, [...ndjson, "Content-Length", "9"])
        for (const chunk of cut(bytes(line("a") + line("é\n") + line("", last)), rng)) reply.data(chunk)
        reply.end()
        const events = memory.body.split("\n\n").filter((one) => one !== "").map((one) =>
          JSON.parse(one.slice("data: ".length))
        )
        assert.deepStrictEqual(events, [
          { response: "a", done: false },
          { response: "é\n", done: false },
          {
            response: "",
            done: true,
            done_reason: "stop",
            total_duration_ms: 7.5,
            eval_count: 3,
            load_duration_ms: 0,
          },
        ])
        assert.strictEqual(header(memory.headers, "content-type"), "text/event-stream")
        assert.isUndefined(header(memory.headers, "content-length"))
      }),
    { arbitrary: { runs: 200, seed: "generate-v1" } },
  )

  it("answers in one piece", () => {
    const memory = new Memory("/api/v1/generate", false)
    const reply = new GenerateV1Reply(memory, false)
    reply.head(200, ["Content-Type", "application/json", "Content-Length", "9"])
    reply.data(bytes(line("hello", last)))
    reply.end()
    assert.deepStrictEqual(JSON.parse(memory.body), {
      response: "hello",
      total_duration_ms: 7.5,
      eval_count: 3,
      load_duration_ms: 0,
    })
    assert.strictEqual(header(memory.headers, "content-length"), String(memory.body.length))
  })

  it("passes errors on, and refuses an answer that it cannot read", () => {
    const memory = new Memory("/api/v1/generate", false)
    const reply = new GenerateV1Reply(memory, false)
    reply.head(404, ["Content-Type", "application/json"])
    reply.data(bytes(`{"error":"no"}`))
    reply.end()
    assert.strictEqual(memory.code, 404)
    assert.strictEqual(memory.body, `{"error":"no"}`)
    const other = new Memory("/api/v1/generate", false)
    const garbled = new GenerateV1Reply(other, false)
    garbled.head(200, [])
    garbled.data(bytes("<html>"))
    garbled.end()
    assert.strictEqual(other.code, 502)
  })

  it("takes a line of eight megabytes", () => {
    const memory = new Memory("/api/v1/generate")
    const reply = new GenerateV1Reply(memory, true)
    reply.head(200, ndjson)
    const long = bytes(line("x".repeat(7 * 1024 * 1024), last))
    for (let at = 0; at < long.length; at += 65536) reply.data(long.subarray(at, at + 65536))
    reply.end()
    assert.strictEqual(memory.code, 200)
    assert.isAbove(memory.body.length, 7 * 1024 * 1024)
  })
})
