/**
 * Compares the simulated Ollama with the answers of a real 0.33 server, request by request, over the transport and over
 * HTTP.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import { readFileSync } from "node:fs"
import { request as httpRequest } from "node:http"
import * as SimulatedOllamaServer from "../../src/simulated/SimulatedOllamaServer.ts"
import { layer, send } from "./support.ts"

interface Asked {
  readonly method: string
  readonly path: string
  readonly headers: ReadonlyArray<string>
  readonly body: string | undefined
}

interface Answer {
  readonly status: number
  readonly head: ReadonlyArray<string>
  readonly body: string
}

type Face = (asked: Asked) => Effect.Effect<Answer>

/** Not zero, so that no duration is left out. */
const speeds = { overhead: "1 milli", prefillRate: 50_000, decodeRate: 10_000 } as const

const fixture = (name: string): ReadonlyArray<readonly [string, string]> =>
  readFileSync(new URL(`../fixtures/ollama-wire/${name}.txt`, import.meta.url), "utf8")
    .split(/^--- /m).slice(1).map((section) => {
      const at = section.indexOf("\n")
      return [section.slice(0, at), section.slice(at + 1)]
    })

/** Splits a capture into head and body; some have no head. */
const parse = (capture: string): Answer => {
  if (!capture.startsWith("HTTP/1.1")) return { status: 200, head: [], body: capture.trimEnd() }
  const [head = "", ...rest] = capture.includes("\n\n") && /Date: /.test(capture)
    ? capture.split("\n\n")
    : splitHead(capture)
  const lines = head.split("\n")
  return {
    status: Number(lines[0]?.split(" ")[1]),
    head: lines.slice(1).filter((line) => line !== ""),
    body: rest.join("\n\n").trimEnd(),
  }
}

/** errors.txt has no empty line between head and body. */
const splitHead = (capture: string): ReadonlyArray<string> => {
  const lines = capture.trimEnd().split("\n")
  const body = lines.findIndex((line, index) => index > 0 && !/^[A-Z][\w-]*: /.test(line))
  return body < 0 ? [lines.join("\n")] : [lines.slice(0, body).join("\n"), lines.slice(body).join("\n")]
}

/** Removes what differs between two runs of the real server. */
const normal = (text: string): string =>
  text
    .replace(/^(Date|Content-Length): .*$/gm, "$1")
    .replace(/\d{4}-\d\d-\d\dT[\d:.]*\d(Z|\+[\d:]+)/g, "<time>")
    .replace(/("\w+_duration"):\d+/g, "$1:<ns>")
    .replace(/("created(?:_at)?"|"completed_at"):\d+/g, "$1:<seconds>")
    .replace(/(chatcmpl|cmpl|msg|resp|req)_?-?[\da-f]+"/g, '$1<id>"')
    .replace(/-?\d\.\d{4,}(e-\d+)?/g, "<float>")

const headOf = (raw: ReadonlyArray<string>): ReadonlyArray<string> => {
  const lines: Array<string> = []
  for (let index = 0; index + 1 < raw.length; index += 2) lines.push(`${raw[index]}: ${raw[index + 1]}`)
  return lines
}

const check = (name: string, expected: Answer, actual: Answer, whole: boolean) => {
  assert.strictEqual(actual.status, expected.status, name)
  const names = new Set(expected.head.map((line) => line.split(":")[0]))
  // errors.txt has only some headers. Those must come in this order, with these values.
  const kept = whole ? actual.head : actual.head.filter((line) => names.has(line.split(":")[0]))
  assert.deepStrictEqual(kept.map(normal), expected.head.map(normal), name)
  assert.strictEqual(normal(actual.body.trimEnd()), normal(expected.body), name)
}

const errors: (face: Face) => Effect.Effect<void> = Effect.fnUntraced(function* (face) {
  for (const [line, capture] of fixture("errors")) {
    const [, path = "/"] = /127\.0\.0\.1:21434(\S*)/.exec(line) ?? []
    const body = / -d (.*)$/.exec(line)?.[1] ?? / --data-binary (\S+)/.exec(line)?.[1]
    const header = / -H (\w+): (\S+)/.exec(line)
    const asked: Asked = {
      method: / -X (\w+)/.exec(line)?.[1] ?? (body === undefined ? "GET" : "POST"),
      path,
      headers: header === null ? [] : [header[1]!, header[2]!],
      body,
    }
    check(line, parse(capture), yield* face(asked), false)
  }
})

const hi = [{ role: "user", content: "hi" }]
const ok: Readonly<Record<string, readonly [string, object?]>> = {
  "load": ["/api/generate", { model: "tiny-eos" }],
  "ps": ["/api/ps"],
  "gen stream": ["/api/generate", { model: "tiny-eos", prompt: "hi", options: { num_predict: 3 } }],
  "gen nonstream": ["/api/generate", { model: "tiny-eos", prompt: "hi", stream: false }],
  "chat": ["/api/chat", { model: "tiny-eos", messages: hi, options: { num_predict: 3 } }],
  "chat nonstream": ["/api/chat", { model: "tiny-eos", messages: hi, options: { num_predict: 3 }, stream: false }],
  "show": ["/api/show", { model: "tiny-eos" }],
  "unload": ["/api/generate", { model: "tiny-eos", keep_alive: 0 }],
  "embed": ["/api/embed", { model: "tiny-embed", input: ["hello", "bye"] }],
  "embeddings": ["/api/embeddings", { model: "tiny-embed", prompt: "hello" }],
  "v1 chat stream": ["/v1/chat/completions", {
    model: "tiny-eos",
    messages: hi,
    max_tokens: 2,
    stream: true,
    stream_options: { include_usage: true },
  }],
  "v1 chat": ["/v1/chat/completions", { model: "tiny-eos", messages: hi, max_tokens: 2 }],
  "v1 completions": ["/v1/completions", { model: "tiny-eos", prompt: "hi", max_tokens: 2 }],
  "models": ["/v1/models"],
  "messages stream": ["/v1/messages", { model: "tiny-eos", messages: hi, max_tokens: 2, stream: true }],
  "messages": ["/v1/messages", { model: "tiny-eos", messages: hi, max_tokens: 2 }],
  "responses": ["/v1/responses", { model: "tiny-eos", input: "hi", max_output_tokens: 2, stream: true }],
  "v1 embeddings": ["/v1/embeddings", { model: "tiny-embed", input: "hello" }],
}

const ask = (face: Face, path: string, body?: object): Effect.Effect<Answer> =>
  face({
    method: body === undefined ? "GET" : "POST",
    path,
    headers: [],
    body: body === undefined ? undefined : JSON.stringify(body),
  })

const successes: (face: Face) => Effect.Effect<void> = Effect.fnUntraced(function* (face) {
  for (const [name, capture] of fixture("ok")) {
    const [path, body] = ok[name]!
    const actual = yield* ask(face, path, body)
    if (name === "models") {
      const [list = "", one = ""] = capture.split(/(?<=\n)(?=HTTP)/)
      check(name, parse(list), actual, true)
      check(name, parse(one), yield* ask(face, "/v1/models/tiny-eos"), true)
      continue
    }
    const expected = parse(capture)
    if (name === "unload") {
      const after = yield* ask(face, "/api/ps")
      assert.strictEqual(normal(actual.body + after.body), normal(expected.body))
    } else if (name === "embed" || name === "embeddings") {
      assert.deepStrictEqual(actual.head.map(normal), expected.head.map(normal))
      const prefix = normal(expected.body.slice(0, expected.body.lastIndexOf(",")))
      assert.isTrue(normal(actual.body).startsWith(prefix), name)
    } else if (name === "v1 embeddings") {
      const [start = "", end = ""] = expected.body.split("\n")
      assert.isTrue(normal(actual.body).startsWith(normal(start.slice(0, start.lastIndexOf(",")))), name)
      assert.isTrue(normal(actual.body.trimEnd()).endsWith(normal(end.slice(end.indexOf("]")))), name)
    } else if (name === "responses") {
      assert.deepStrictEqual(actual.head.map(normal), expected.head.map(normal))
      // Long lines were cut when they were captured.
      const [ours, theirs] = [actual.body.trimEnd().split("\n"), expected.body.split("\n")]
      assert.strictEqual(ours.length, theirs.length)
      theirs.forEach((line, index) => {
        const mine = normal(ours[index]!)
        assert.strictEqual(
          line.startsWith("data: ") && !line.endsWith("}") ? mine.slice(0, normal(line).length) : mine,
          normal(line),
        )
      })
    } else check(name, expected, actual, expected.head.length > 0)
  }
})

const transportFace: Face = (asked) =>
  Effect.gen(function* () {
    const heard = yield* send(asked.path, asked.body, { method: asked.method, headers: asked.headers })
    yield* TestClock.adjust("1 second")
    assert.strictEqual(heard.over, "end")
    return { status: heard.status!, head: headOf(heard.raw), body: heard.text }
  }) as Effect.Effect<Answer>

const httpFace = (url: string): Face => (asked) =>
  Effect.promise(() =>
    new Promise((resolve, reject) => {
      const { hostname, port } = new URL(url)
      const headers: Record<string, string> = asked.body === undefined
        ? {}
        : { "Content-Length": String(Buffer.byteLength(asked.body)) }
      for (let index = 0; index < asked.headers.length; index += 2) {
        headers[asked.headers[index]!] = asked.headers[index + 1]!
      }
      const options = { hostname, port, path: asked.path, method: asked.method, headers, agent: false }
      const request = httpRequest(options, (response) => {
        let body = ""
        response.setEncoding("utf8")
        response.on("data", (chunk) => body += chunk)
        response.on("error", reject)
        response.on("end", () => resolve({ status: response.statusCode!, head: headOf(response.rawHeaders), body }))
      })
      request.on("error", reject)
      request.end(asked.body)
    })
  )

describe("captures of Ollama 0.33", () => {
  it.effect("errors, over the transport", () =>
    Effect.provide(errors(transportFace), layer(speeds)) as Effect.Effect<void>)

  it.effect("answers, over the transport", () =>
    Effect.provide(successes(transportFace), layer(speeds)) as Effect.Effect<void>)

  it.live("errors, over HTTP", () =>
    Effect.flatMap(SimulatedOllamaServer.make(speeds), ({ url }) => errors(httpFace(url))))

  it.live("answers, over HTTP", () =>
    Effect.flatMap(SimulatedOllamaServer.make(speeds), ({ url }) => successes(httpFace(url))))
})
