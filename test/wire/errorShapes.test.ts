/** Refusals, error records and heartbeats in each dialect. */
import { assert, describe, it } from "@effect/vitest"
import { refuse } from "../../src/services/Refusal.ts"
import { header } from "../../src/services/RoutedRequest.ts"
import * as ErrorShapes from "../../src/wire/errorShapes.ts"
import { endpoints } from "../../src/wire/endpoints.ts"
import { heartbeat } from "../../src/wire/heartbeat.ts"
import { endpoint, text } from "./support.ts"

const render = (path: string, why: Parameters<typeof ErrorShapes.refusal>[1]) => {
  const { body, headers, status } = ErrorShapes.refusal(endpoint(path), why, "r1")
  return { status, headers, body: text(body) }
}

describe("dialects", () => {
  it("name a missing model in the words of each endpoint of Ollama", () => {
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
        `{"type":"error","error":{"type":"not_found_error","message":"model 'nope' not found"},"request_id":"req_r1"}\n`,
      "/v1/audio/transcriptions": openai("model 'nope' not found"),
      "/api/v1/generate": `{"error":"model 'nope' not found"}`,
    })
  })

  it("answer a call without a model with 404, and with 400 where Ollama checks the body first", () => {
    const none = refuse("ModelNotFound", "?", { model: "" })
    assert.deepInclude(render("/api/generate", none), { status: 404, body: `{"error":"model '' not found"}` })
    assert.deepInclude(render("/api/embed", none), { status: 404, body: `{"error":"model '' not found"}` })
    assert.deepInclude(render("/api/chat", none), { status: 400, body: `{"error":"model is required"}` })
    assert.deepInclude(render("/api/embeddings", none), { status: 400, body: `{"error":"model is required"}` })
    const blank = refuse("ModelNotFound", "?", { model: " " })
    assert.deepInclude(render("/api/embed", blank), { status: 404, body: `{"error":"model ' ' not found"}` })
    assert.deepInclude(render("/api/chat", blank), { status: 400, body: `{"error":"model is required"}` })
  })

  it("look like those that Ollama's middlewares pass on, or like those that they make", () => {
    const invalid = refuse("BadRequest", "invalid model name", { model: "a b" })
    const none = refuse("ModelNotFound", "?", { model: "" })
    const broken = refuse("BadRequest", "EOF")
    const passedOn = (path: string, why: typeof invalid) => {
      const { body, headers, status } = render(path, why)
      assert.strictEqual(status, 400, path)
      assert.strictEqual(header(headers, "content-type") === "application/json", body.endsWith("\n"), path)
      return body.endsWith("\n")
    }
    for (const path of ["/v1/chat/completions", "/v1/completions", "/v1/responses", "/v1/messages"]) {
      assert.isTrue(passedOn(path, invalid), path)
      assert.isFalse(passedOn(path, broken), path)
    }
    assert.isTrue(passedOn("/v1/chat/completions", none))
    assert.isFalse(passedOn("/v1/messages", none))
    assert.isFalse(passedOn("/v1/audio/transcriptions", none))
    assert.isFalse(passedOn("/api/chat", invalid))
  })

  it("give Anthropic's clients an id that begins as Anthropic's own do", () => {
    const why = refuse("BackendFailed", "broke")
    const idOf = (id: string) =>
      JSON.parse(text(ErrorShapes.refusal(endpoint("/v1/messages"), why, id).body)).request_id
    assert.deepStrictEqual(["r1", "req_abc", "k3-1z"].map(idOf), ["req_r1", "req_abc", "req_k3-1z"])
  })

  it("send Retry-After, and tell OpenAI's clients when not to retry", () => {
    const full = refuse("QueueFull", "busy", { retryAfter: 1.2 })
    const slow = refuse("DeadlineExceeded", "too long")
    assert.strictEqual(header(render("/api/chat", full).headers, "retry-after"), "2")
    assert.isUndefined(header(render("/v1/chat/completions", full).headers, "x-should-retry"))
    assert.strictEqual(header(render("/v1/chat/completions", slow).headers, "x-should-retry"), "false")
    assert.isUndefined(header(render("/api/chat", slow).headers, "x-should-retry"))
    assert.include(render("/v1/messages", full).body, `"overloaded_error"`)
  })

  it("write an error record for a stream that has begun", () => {
    const why = refuse("BackendFailed", "broke")
    const record = (path: string) => text(ErrorShapes.errorRecord(endpoint(path), why, "r1"))
    assert.strictEqual(record("/api/chat"), `{"error":"broke"}\n`)
    assert.strictEqual(
      record("/v1/chat/completions"),
      `data: {"error":{"message":"broke","type":"api_error","param":null,"code":null}}\n\n`,
    )
    assert.strictEqual(
      record("/v1/messages"),
      `event: error\ndata: {"type":"error","error":{"type":"api_error","message":"broke"},"request_id":"req_r1"}\n\n`,
    )
    assert.match(record("/v1/responses"), /^event: error\ndata: \{"type":"error",.*\}\n\n$/)
    assert.strictEqual(record("/api/v1/generate"), `data: {"error":"broke"}\n\n`)
  })

  it("write heartbeats that clients accept", () => {
    const beat = (path: string) => heartbeat(endpoint(path), "m", 0)
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
