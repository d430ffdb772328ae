/** The spans of requests through the whole router, over a simulated fleet, as a collector decodes them. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import * as AliasGuard from "../../../src/plugins/guards/AliasGuard.ts"
import { ask } from "../../support/routers.ts"
import { traced } from "./collector.ts"

const chat = { model: "tiny-eos", messages: [{ role: "user", content: "hi" }] }
const traceId = "0af7651916cd43dd8448eb211c80319c"
const parentId = "b7ad6b7169203331"
const from = (flags: string) => ["traceparent", `00-${traceId}-${parentId}-${flags}`, "tracestate", "v=1"]

/** Runs a call to its end, and until its spans are exported. */
const finish = (headers: ReadonlyArray<string> = [], body: object = chat, path = "/api/chat") =>
  Effect.gen(function* () {
    const fiber = yield* Effect.forkChild(ask(path, body, undefined, headers), { startImmediately: true })
    yield* TestClock.adjust("20 seconds")
    const ended = yield* Fiber.join(fiber)
    yield* TestClock.adjust("6 seconds")
    return ended
  })
const ready = TestClock.adjust("1 second")

describe("the spans of a request", () => {
  const { collector, heard, layer } = traced({ a: { loadTime: "3 seconds", overhead: "50 millis" } })
  it.effect("that continues a trace and waits for a load", () =>
    Effect.gen(function* () {
      yield* ready
      const { settled } = yield* finish(from("01"))
      assert.strictEqual(settled.status, 200)
      const request = collector.one("POST /api/chat")
      const call = collector.one("chat tiny-eos:latest")
      const load = collector.one("load")
      const relay = collector.one("relay")
      for (const span of collector.spans) assert.deepInclude(span, { traceId, state: "v=1" })
      assert.deepInclude(request, { parent: parentId, kind: 2, status: 0 })
      assert.deepInclude(call, { parent: request.spanId, kind: 3, status: 0 })
      assert.strictEqual(load.parent, request.spanId)
      assert.strictEqual(relay.parent, call.spanId)
      assert.closeTo(load.to - load.from, 3000, 250)
      assert.strictEqual(load.to, call.from)
      assert.strictEqual(relay.to, call.to)
      assert.strictEqual(request.to, call.to)
      assert.deepStrictEqual(request.events.map(({ name }) => name), ["body_read", "placed"])
      assert.deepStrictEqual(call.events, [{ name: "first_byte", at: relay.from }])
      assert.isAbove(relay.from, call.from)
      assert.deepStrictEqual(
        heard.filter(({ path }) => path === "/api/chat").map((
          { headers: { traceparent, tracestate } },
        ) => [traceparent, tracestate]),
        [[`00-${traceId}-${call.spanId}-01`, "v=1"]],
      )
    }).pipe(Effect.provide(layer)))

  const plain = traced(
    { a: { overhead: "50 millis" } },
    {
      serviceName: "router-1",
      resource: { "deployment.environment.name": "test" },
      headers: { "api-key": "secret" },
    },
    { guards: [AliasGuard.make({ "gpt-4o": ["tiny-eos"] })] },
  )
  it.effect("have the attributes of the conventions", () =>
    Effect.gen(function* () {
      yield* ready
      yield* finish([], { ...chat, model: "gpt-4o" })
      const request = plain.collector.one("POST /api/chat")
      const call = plain.collector.one(/^chat /)
      assert.isUndefined(request.parent)
      assert.deepInclude(request.attributes, {
        "http.request.method": "POST",
        "http.route": "/api/chat",
        "url.path": "/api/chat",
        "http.response.status_code": 200,
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "ollama",
        "gen_ai.request.model": "gpt-4o",
        "gen_ai.response.model": "tiny-eos:latest",
        "llamero.backend": "a",
        "llamero.tenant": "default",
        "llamero.attempts": 1,
      })
      assert.match(String(request.attributes["llamero.request.id"]), /^t\d+$/)
      assert.deepInclude(call.attributes, {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "ollama",
        "gen_ai.request.model": "tiny-eos:latest",
        "gen_ai.response.model": "tiny-eos:latest",
        "server.address": "a",
        "server.port": 11434,
        "llamero.outcome": "ok",
      })
      for (const tokens of ["gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens"]) {
        assert.isAbove(Number(call.attributes[tokens]), 0, tokens)
        assert.notProperty(request.attributes, tokens)
      }
      assert.notProperty(request.attributes, "error.type")
      const { resource } = plain.collector
      assert.deepInclude(resource, { "service.name": "router-1", "deployment.environment.name": "test" })
      assert.strictEqual(plain.collector.urls[0], "http://collector:4318/v1/traces")
      assert.strictEqual(plain.collector.headers[0]?.["api-key"], "secret")
    }).pipe(Effect.provide(plain.layer)))

  const operations = traced({ a: {} })
  it.effect("name the operation of each kind of call", () =>
    Effect.gen(function* () {
      yield* ready
      yield* finish([], { model: "tiny-eos", prompt: "hi" }, "/api/generate")
      yield* finish([], { model: "tiny-embed", input: "hi" }, "/v1/embeddings")
      assert.strictEqual(
        operations.collector.one(/^text_completion /).attributes["gen_ai.operation.name"],
        "text_completion",
      )
      assert.strictEqual(operations.collector.one(/^embeddings /).name, "embeddings tiny-embed:latest")
      assert.strictEqual(operations.collector.one("POST /v1/embeddings").kind, 2)
    }).pipe(Effect.provide(operations.layer)))
})
