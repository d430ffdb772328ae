/** Answers that are spelled in another way, or compressed: they mean the same as Ollama's own. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { createGunzip, gunzipSync } from "node:zlib"
import { Fault, type ServerOptions } from "../../src/simulated/SimulatedFleet.ts"
import { Dress } from "../../src/simulated/http/dress.ts"
import { layer, lines, on, send, server } from "./support.ts"

const messages = [{ role: "user", content: "hi" }]
const paths = {
  "/api/generate": { prompt: "hi" },
  "/api/chat": { messages },
  "/v1/chat/completions": { messages },
  "/v1/responses": { input: "hi" },
  "/v1/messages": { messages, max_tokens: 3 },
} as const

const ask = (path: keyof typeof paths, stream: boolean) => send(path, { model: "tiny-eos", ...paths[path], stream })

/** The records of a stream without what its spelling adds. */
const plain = (text: string): ReadonlyArray<string> =>
  text.split(/\r\n|\r|\n/).flatMap((line) => {
    const value = line.replace(/^data: ?/, "")
    if (line === "" || /^(?::|id: ?\d|event:)/.test(line)) return []
    return [value.startsWith("{") ? JSON.stringify(JSON.parse(value)) : value]
  })

const spelling = { blanks: true, lineEnd: "\r\n", bareFields: true, comments: true } as const
const spellings: ReadonlyArray<ServerOptions> = [{ spelling }, { spelling: { lineEnd: "\r" } }, { spelling: {} }]

describe("another spelling", () => {
  for (const options of spellings) {
    for (const path of Object.keys(paths) as ReadonlyArray<keyof typeof paths>) {
      it.effect(`${path} ${JSON.stringify(options.spelling)} means the same`, () =>
        Effect.gen(function* () {
          const said = (stream: boolean, more: ServerOptions) =>
            Effect.provide(Effect.map(ask(path, stream), ({ text }) => text), layer(more))
          for (const stream of [true, false]) {
            const own = yield* said(stream, {})
            assert.deepStrictEqual(plain(yield* said(stream, options)), plain(own))
            assert.isAbove(plain(own).length, stream ? 3 : 0)
          }
        }))
    }
  }

  on("has blanks, line ends, bare fields and comments", { spelling }, function* () {
    const native = yield* ask("/api/chat", true)
    assert.match(native.text, /"content": " word00" \}, "done": false \}\r\n/)
    assert.match(native.text, /"done": true, /)
    const events = yield* ask("/v1/messages", true)
    assert.match(events.text, /^: event 1\r\nid: 1\r\nevent:message_start\r\ndata:\{ "type": "message_start"/)
    assert.match(events.text, /data:\{ "type": "message_stop" \}\r\n\r\n: bye\r\n\r\n$/)
    const chat = yield* ask("/v1/chat/completions", true)
    assert.include(chat.text, "data:[DONE]\r\n\r\n: bye")
    const whole = yield* ask("/api/chat", false)
    assert.strictEqual(whole.headers["content-length"], String(whole.text.length))
  })
})

describe("gzip in spite of `identity`", () => {
  on("compresses streams, answers in one piece and errors", { encoding: "gzip" }, function* () {
    const simulated = yield* server
    for (const stream of [true, false]) {
      const heard = yield* send("/api/chat", { model: "tiny-eos", messages, stream }, {
        headers: ["Accept-Encoding", "identity"],
      })
      assert.strictEqual(heard.headers["content-encoding"], "gzip")
      assert.strictEqual(heard.over, "end")
    }
    simulated.script(Fault.internal, { times: 1 })
    const failed = yield* ask("/api/chat", false)
    assert.deepStrictEqual([failed.status, failed.headers["content-encoding"]], [500, "gzip"])
  })

  it("every piece can be decoded when it comes, and without its end the answer is known to be cut", async () => {
    const encoder = new TextEncoder()
    const dress = new Dress({}, "gzip")
    const records = [`{"a":1}\n`, `{"b":2}\n`]
    const pieces = records.map((record) => dress.piece(encoder.encode(record)))
    const gunzip = createGunzip()
    let got = ""
    gunzip.on("data", (chunk) => void (got += String(chunk)))
    for (const [i, piece] of pieces.entries()) {
      await new Promise((resolve) => gunzip.write(piece, resolve))
      assert.strictEqual(got, records.slice(0, i + 1).join(""))
    }
    assert.throws(() => gunzipSync(Buffer.concat(pieces)), /unexpected end of file/)
    assert.strictEqual(String(gunzipSync(Buffer.concat([...pieces, dress.last()!]))), records.join(""))
  })
})

on("truncate with an error: 500, or an error line, as from Ollama 0.34.1 on", {}, function* () {
  const simulated = yield* server
  simulated.script(Fault.truncate(2, Fault.repeatText), { times: 2 })
  const heard = yield* ask("/api/generate", true)
  assert.deepStrictEqual([heard.status, heard.over, lines(heard).at(-1)], [200, "end", { error: Fault.repeatText }])
  const whole = yield* ask("/api/generate", false)
  assert.deepStrictEqual([whole.status, lines(whole)[0]], [500, { error: Fault.repeatText }])
})
