/** The comparison with other routers: which answers count as right, and what its tables say. */
import { assert, describe, it } from "@effect/vitest"
import { post } from "../../bench/load/connection.ts"
import { type Checked, judge } from "../../bench/peers/check.ts"
import type { Line } from "../../bench/peers/figures.ts"
import type { PeerSample } from "../../bench/peers/loads.ts"
import { openaiAnswers, openaiBodies } from "../../bench/peers/openai.ts"
import { report } from "../../bench/peers/report.ts"
import { answers, asks, bodies, CHUNKS, JSON_BYTES } from "../../bench/wire.ts"

const right: Checked = { json: "same bytes", stream: "same bytes", firstChunkMs: 2 }

const line = (name: string, rates: ReadonlyArray<number>, more: Partial<Line> = {}): Line => ({
  name,
  api: "ollama",
  version: "1.2.3",
  checked: right,
  samples: rates.length === 0 ? {} : { json: rates.map((rate): PeerSample => ({ rate, p50: 1000 / rate, errors: 0 })) },
  failed: {},
  restarts: 0,
  ...more,
})

const json = [{ group: "json", title: "JSON" }] as const
const cells = (text: string, start: string): ReadonlyArray<string> =>
  text.split("\n").find((row) => row.startsWith(`| ${start}`))!.split("|").map((cell) => cell.trim()).slice(1, -1)

describe("the answers of a peer", () => {
  it("are as long in the API of OpenAI as in that of Ollama, and have the same words", () => {
    assert.strictEqual(openaiBodies.json.length, JSON_BYTES)
    assert.strictEqual(openaiAnswers.stream.length, CHUNKS)
    assert.strictEqual(openaiAnswers.stream.length, answers.stream.length)
    assert.strictEqual(judge("ollama", "stream", 200, openaiBodies.stream), "same text")
  })

  it("are told apart: the same bytes, the same text in other bytes, and anything else", () => {
    const pretty = JSON.stringify(JSON.parse(bodies.json), undefined, 1).replaceAll("\n", " ")
    assert.strictEqual(judge("ollama", "json", 200, bodies.json), "same bytes")
    assert.strictEqual(judge("openai", "json", 200, openaiBodies.json), "same bytes")
    assert.strictEqual(judge("ollama", "json", 200, pretty), "same text")
    // It translates: the client asks in the API of OpenAI, and the upstream answers in that of Ollama.
    assert.strictEqual(judge("openai", "json", 200, bodies.json), "same text")
    const wrong: ReadonlyArray<readonly ["json" | "stream", number, string]> = [
      ["json", 503, bodies.json],
      ["json", 200, ""],
      ["json", 200, `{"error":"no endpoints"}`],
      ["json", 200, bodies.json.replace("aaaa", "aaa")],
      ["stream", 200, bodies.stream.slice(0, bodies.stream.length >> 1)],
      ["stream", 200, openaiBodies.stream.replace(" word07", "")],
      ["stream", 200, bodies.json],
    ]
    for (const [kind, status, got] of wrong) {
      assert.throws(() => judge("ollama", kind, status, got), new RegExp(`answered ${status} with ${got.length} `))
    }
  })
})

describe("the request of a load", () => {
  it("goes to the path of the peer, with its headers, and else to Ollama's", () => {
    const own = post({ port: 1, path: "/v1/chat/completions", headers: { "x-a": "b" }, body: asks.json }).toString()
    assert.match(own, /^POST \/v1\/chat\/completions HTTP\/1\.1\r\n(?:.*\r\n)*x-a: b\r\n(?:.*\r\n)*\r\n\{/)
    assert.match(post({ port: 1, body: asks.json }).toString(), /^POST \/api\/chat HTTP\/1\.1\r\n/)
  })
})

describe("the tables", () => {
  it("compare round with round, not the medians", () => {
    const text = report([line("llamero", [100, 400, 900]), line("other", [50, 800, 300])], json, 500)
    assert.deepStrictEqual(cells(text, "llamero ").slice(3, 5), ["400 (100..900)", "-"])
    assert.deepStrictEqual(cells(text, "other ").slice(3, 5), ["300 (50.0..800)", "2.00 (0.500..3.00)"])
  })

  it("compare only within one API", () => {
    const text = report([line("llamero", [100]), line("other", [200], { api: "openai" })], json, 500)
    assert.strictEqual(cells(text, "other ")[4], "-")
    assert.notInclude(text, "| JSON, requests")
  })

  it("name the peers that are ahead, in either direction of better", () => {
    const text = report([line("llamero", [100]), line("fast", [250]), line("slow", [40])], json, 500)
    assert.deepStrictEqual(cells(text, "JSON, requests").slice(2), ["100", "fast 250"])
    assert.deepStrictEqual(cells(text, "JSON, p50").slice(2), ["10.0", "fast 4.00"])
  })

  it("tell of a peer that fails, and of one that had to be started again", () => {
    const checked = { ...right, json: new Error("answered 500"), firstChunkMs: new Error("it buffers") }
    const text = report(
      [
        line("llamero", [100]),
        line("broken", [], { checked, failed: { json: "answered 500", stream: "answered 500\nat x" } }),
        line("shy", [90], { restarts: 3 }),
      ],
      json,
      500,
    )
    assert.deepStrictEqual(cells(text, "broken ").slice(2, 4), ["wrong", "fails"])
    assert.include(text, "broken fails at json, stream: answered 500")
    assert.include(text, "broken, first chunk of a slow stream: it buffers")
    assert.include(text, "shy refused all requests after clients had left, and was started again (3 x)")
  })
})
