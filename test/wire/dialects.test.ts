import { assert, describe, it } from "@effect/vitest"
import * as Cors from "../../src/layers/server/cors.ts"
import * as RequestId from "../../src/layers/server/requestId.ts"
import { refuse } from "../../src/services/Refusal.ts"
import { header } from "../../src/services/RoutedRequest.ts"
import * as Dialects from "../../src/wire/dialects.ts"
import { endpoints } from "../../src/wire/endpoints.ts"
import { forwardHeaders, returnHeaders } from "../../src/wire/headers.ts"
import { endpoint, text } from "./support.ts"

const render = (path: string, why: Parameters<typeof Dialects.refusal>[1]) => {
  const { body, headers, status } = Dialects.refusal(endpoint(path), why, "r1")
  return { status, headers, body: text(body) }
}

describe("dialects", () => {
  it("says that a model is missing as each endpoint of Ollama does", () => {
    const nope = refuse("ModelNotFound", "?", { model: "nope" })
    const bodies = Object.fromEntries(endpoints.map(({ path }) => [path, render(path, nope).body]))
    const openai = (message: string) =>
      `${JSON.stringify({ error: { message, type: "not_found_error", param: null, code: null } })}\n`
    assert.deepStrictEqual(bodies, {
      "/api/generate": `{"error":"model 'nope' not found"}`,
      "/api/chat": `{"error":"model 'nope' not found"}`,
      "/api/embed": `{"error":"model \\"nope\\" not found, try pulling it first"}`,
      "/api/embeddings": `{"error":"model \\"nope\\" not found, try pulling it first"}`,
      "/v1/chat/completions": openai("model 'nope' not found"),
      "/v1/completions": openai("model 'nope' not found"),
      "/v1/embeddings": openai(`model "nope" not found, try pulling it first`),
      "/v1/responses": openai("model 'nope' not found"),
      "/v1/messages":
        `{"type":"error","error":{"type":"not_found_error","message":"model 'nope' not found"},"request_id":"r1"}\n`,
      "/v1/audio/transcriptions": openai("model 'nope' not found"),
      "/api/v1/generate": `{"error":"model 'nope' not found"}`,
    })
  })

  it("says that there is no model: 404, but 400 where Ollama checks first", () => {
    const none = refuse("ModelNotFound", "?", { model: "" })
    assert.deepInclude(render("/api/generate", none), { status: 404, body: `{"error":"model '' not found"}` })
    assert.deepInclude(render("/api/embed", none), { status: 404, body: `{"error":"model '' not found"}` })
    assert.deepInclude(render("/api/chat", none), { status: 400, body: `{"error":"model is required"}` })
  })

  it("tells clients when to come back, and OpenAI's not to when it is pointless", () => {
    const full = refuse("QueueFull", "busy", { retryAfter: 1.2 })
    const slow = refuse("DeadlineExceeded", "too long")
    assert.strictEqual(header(render("/api/chat", full).headers, "retry-after"), "2")
    assert.isUndefined(header(render("/v1/chat/completions", full).headers, "x-should-retry"))
    assert.strictEqual(header(render("/v1/chat/completions", slow).headers, "x-should-retry"), "false")
    assert.isUndefined(header(render("/api/chat", slow).headers, "x-should-retry"))
    assert.include(render("/v1/messages", full).body, `"overloaded_error"`)
  })

  it("ends a stream that has begun with a record of its dialect", () => {
    const why = refuse("BackendFailed", "broke")
    const record = (path: string) => text(Dialects.errorRecord(endpoint(path), why, "r1"))
    assert.strictEqual(record("/api/chat"), `{"error":"broke"}\n`)
    assert.strictEqual(
      record("/v1/chat/completions"),
      `data: {"error":{"message":"broke","type":"api_error","param":null,"code":null}}\n\n`,
    )
    assert.strictEqual(
      record("/v1/messages"),
      `event: error\ndata: {"type":"error","error":{"type":"api_error","message":"broke"},"request_id":"r1"}\n\n`,
    )
    assert.match(record("/v1/responses"), /^event: error\ndata: \{"type":"error",.*\}\n\n$/)
    assert.strictEqual(record("/api/v1/generate"), `data: {"error":"broke"}\n\n`)
  })

  it("gives signs of life that clients take", () => {
    const beat = (path: string) => Dialects.heartbeat(endpoint(path), "m", 0)
    assert.deepStrictEqual(JSON.parse(text(beat("/api/chat")!)), {
      model: "m",
      created_at: "1970-01-01T00:00:00.000Z",
      message: { role: "assistant", content: "" },
      done: false,
    })
    assert.deepStrictEqual(JSON.parse(text(beat("/api/generate")!)), {
      model: "m",
      created_at: "1970-01-01T00:00:00.000Z",
      response: "",
      done: false,
    })
    assert.match(text(beat("/v1/messages")!), /^: .*\n\n$/)
    assert.isUndefined(beat("/api/embed"))
  })
})

describe("headers", () => {
  it("drops what is between two hops, and what Connection names", () => {
    const sent = forwardHeaders([
      ...["Host", "a", "Connection", "keep-alive, X-Hop", "X-Hop", "1", "TE", "trailers", "Content-Length", "3"],
      ...["Origin", "http://localhost", "Access-Control-Request-Method", "POST", "accept-ENCODING", "gzip"],
      ...[
        "Content-Encoding",
        "zstd",
        "X-Request-Id",
        "theirs",
        "X-Forwarded-For",
        "1.2.3.4",
        "Authorization",
        "Bearer x",
      ],
    ], "r1")
    assert.deepStrictEqual(sent, ["X-Forwarded-For", "1.2.3.4", "Accept-Encoding", "identity", "X-Request-Id", "r1"])
    assert.deepStrictEqual(
      returnHeaders([
        ...["Content-Type", "a/b", "Transfer-Encoding", "chunked", "Connection", "close", "Keep-Alive", "timeout=5"],
        ...["Access-Control-Allow-Origin", "*", "Date", "now", "Content-Length", "5"],
      ]),
      ["Content-Type", "a/b", "Date", "now", "Content-Length", "5"],
    )
  })
})

describe("credentials", () => {
  const given = ["AUTHORIZATION", "Bearer x", "Cookie", "a=b", "X-Api-Key", "k", "api-key", "k", "Accept", "*/*"]

  it("end at the router", () => {
    const sent = forwardHeaders(given, "r1")
    assert.deepStrictEqual(sent, ["Accept", "*/*", "Accept-Encoding", "identity", "X-Request-Id", "r1"])
  })

  it("go to backends where the deployer says so", () => {
    const sent = forwardHeaders(given, "r1", true)
    assert.deepStrictEqual(sent, [...given, "Accept-Encoding", "identity", "X-Request-Id", "r1"])
  })
})

describe("requestId", () => {
  it("takes what is sane and makes what is not", () => {
    const next = RequestId.make("p")
    assert.strictEqual(next("trace-1"), "trace-1")
    assert.strictEqual(next(undefined), "p-1")
    assert.strictEqual(next("with space"), "p-2")
    assert.strictEqual(next("x".repeat(129)), "p-3")
    assert.strictEqual(next("é"), "p-4")
    assert.strictEqual(next(""), "p-5")
  })
})

describe("cors", () => {
  const decide = (origin: string, method = "POST", origins: ReadonlyArray<string> = []) =>
    Cors.make(origins).decide(origin, "127.0.0.1:11435", method)

  it("allows what Ollama allows, and what is configured", () => {
    for (const origin of ["http://localhost:3000", "https://127.0.0.1", "app://obsidian", "chrome-extension://abc"]) {
      assert.isUndefined(decide(origin).status, origin)
      assert.strictEqual(header(decide(origin).headers, "access-control-allow-origin"), origin)
      assert.strictEqual(header(decide(origin).headers, "vary"), "Origin")
    }
    for (const origin of ["http://evil.example", "http://localhost.evil.example", "null"]) {
      assert.deepStrictEqual(decide(origin), { status: 403, headers: [] })
    }
    assert.isUndefined(decide("https://ui.example.com", "POST", ["https://*.example.com"]).status)
    assert.strictEqual(header(decide("http://evil.example", "POST", ["*"]).headers, "access-control-allow-origin"), "*")
    assert.deepStrictEqual(decide("http://127.0.0.1:11435"), { status: undefined, headers: [] })
  })

  it("takes a pattern for both of its ends, and one's own origin for the whole of it", () => {
    const pattern = ["https://ui.*.example.com"]
    assert.isUndefined(decide("https://ui.a.example.com", "POST", pattern).status)
    // The ends may not share characters, nor may anything come behind.
    for (const origin of ["https://ui.example.com", "https://ui.a.example.com.evil.example", "https://ui.a"]) {
      assert.strictEqual(decide(origin, "POST", pattern).status, 403, origin)
    }
    assert.strictEqual(decide("http://evil.example/127.0.0.1:11435").status, 403)
    assert.strictEqual(decide("http://1127.0.0.1:11435").status, 403)
  })

  it("answers a preflight", () => {
    const answer = decide("http://localhost:3000", "OPTIONS")
    assert.strictEqual(answer.status, 204)
    assert.include(header(answer.headers, "access-control-allow-headers"), "Authorization")
  })
})
