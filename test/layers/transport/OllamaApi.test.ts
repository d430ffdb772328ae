import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Layer } from "effect"
import { HttpClient, HttpClientError, type HttpClientRequest, HttpClientResponse } from "effect/http"
import * as HttpOllamaApi from "../../../src/layers/transport/HttpOllamaApi.ts"
import { backend } from "../../../src/services/Fleet.ts"
import { OllamaApi } from "../../../src/services/OllamaApi.ts"
import * as SimulatedFleet from "../../../src/simulated/SimulatedFleet.ts"
import * as SimulatedOllamaApi from "../../../src/simulated/SimulatedOllamaApi.ts"
import * as SimulatedTransport from "../../../src/simulated/SimulatedTransport.ts"
import * as OllamaApiContract from "../../../src/testing/contracts/OllamaApi.ts"
import { elapse } from "../../../src/testing/elapse.ts"
import { holds } from "../../support/checks.ts"

const fleet = SimulatedFleet.layer({
  "http://sim:11434": { models: [SimulatedFleet.Model.tinyEos, SimulatedFleet.Model.tinyEmbed] },
})

/** An `HttpClient` whose requests the simulated servers answer, without sockets. */
const bridge = Layer.effect(
  HttpClient.HttpClient,
  Effect.map(
    SimulatedFleet.SimulatedFleet,
    ({ servers }) =>
      HttpClient.make((request, url) =>
        Effect.callback<HttpClientResponse.HttpClientResponse, HttpClientError.HttpClientError>((resume) => {
          const broken = (description: string) =>
            new HttpClientError.HttpClientError({
              reason: new HttpClientError.TransportError({ request, description }),
            })
          const server = servers.get(url.origin)
          if (server === undefined) return resume(Effect.fail(broken("connection refused")))
          const chunks: Array<Uint8Array> = []
          let status = 0
          server.handle({
            method: request.method,
            path: url.pathname,
            headers: Object.entries(request.headers).flat(),
            body: request.body._tag === "Uint8Array" ? request.body.body : undefined,
          }, {
            open: () => {},
            head: (code) => status = code,
            data: (chunk) => chunks.push(chunk),
            end: () => {
              const response = new Response(Buffer.concat(chunks), { status })
              resume(Effect.succeed(HttpClientResponse.fromWeb(request, response)))
            },
            fail: (_, description) => resume(Effect.fail(broken(description))),
          })
        })
      ),
  ),
)

holds(
  "SimulatedOllamaApi is a OllamaApi",
  OllamaApiContract.contract(SimulatedOllamaApi.layer.pipe(Layer.provide(fleet))),
)
holds(
  "HttpOllamaApi is a OllamaApi",
  OllamaApiContract.contract(HttpOllamaApi.layer().pipe(Layer.provide(bridge), Layer.provide(fleet))),
)
holds(
  "HttpOllamaApi over a Transport is an OllamaApi",
  OllamaApiContract.contract(
    HttpOllamaApi.layerTransport().pipe(Layer.provide(SimulatedTransport.layer), Layer.provide(fleet)),
  ),
)

const a = backend({ url: "http://a:1/prefix", id: "a" })

interface Sent {
  readonly method: string
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: unknown
}

const read = (request: HttpClientRequest.HttpClientRequest, url: URL): Sent => ({
  method: request.method,
  url: url.href,
  headers: { ...request.headers },
  body: request.body._tag === "Uint8Array" ? JSON.parse(new TextDecoder().decode(request.body.body)) : undefined,
})

/** `answer` gets each request: a status and a body, or `undefined` to hang. */
const scripted = (answer: (sent: Sent) => readonly [status: number, body: unknown] | undefined) => {
  const sent: Array<Sent> = []
  const client = HttpClient.make((request, url) =>
    Effect.suspend(() => {
      sent.push(read(request, url))
      const answered = answer(sent.at(-1)!)
      if (answered === undefined) return Effect.never
      const [status, body] = answered
      const text = typeof body === "string" ? body : JSON.stringify(body)
      return Effect.succeed(HttpClientResponse.fromWeb(request, new Response(text, { status })))
    })
  )
  return { sent, layer: HttpOllamaApi.layer().pipe(Layer.provide(Layer.succeed(HttpClient.HttpClient, client))) }
}

describe("HttpOllamaApi", () => {
  it.effect("sends the calls that Ollama documents, and never an Origin", () => {
    const { layer, sent } = scripted((call) => [200, call.url.endsWith("/api/version") ? { version: "0.33.0" } : {}])
    return Effect.gen(function* () {
      const api = yield* OllamaApi
      yield* api.version(a)
      yield* api.load(a, "m:latest", { embedder: false })
      yield* api.load(a, "m:latest", { embedder: false, keepAlive: -1, numCtx: 8192 })
      yield* api.load(a, "e:latest", { embedder: true, keepAlive: 60 })
      yield* api.unload(a, "m:latest", { embedder: false })
      yield* api.unload(a, "e:latest", { embedder: true })
      assert.deepStrictEqual(sent.map(({ body, method, url }) => [method, url, body]), [
        ["GET", "http://a:1/prefix/api/version", undefined],
        ["POST", "http://a:1/prefix/api/generate", { model: "m:latest", stream: false }],
        ["POST", "http://a:1/prefix/api/generate", {
          model: "m:latest",
          stream: false,
          keep_alive: -1,
          options: { num_ctx: 8192 },
        }],
        ["POST", "http://a:1/prefix/api/embed", { model: "e:latest", keep_alive: 60 }],
        ["POST", "http://a:1/prefix/api/generate", { model: "m:latest", stream: false, keep_alive: 0 }],
        ["POST", "http://a:1/prefix/api/generate", { model: "e:latest", stream: false, keep_alive: 0 }],
      ])
      assert.isTrue(sent.every(({ headers }) => headers["origin"] === undefined))
    }).pipe(Effect.provide(layer))
  })

  it.effect("retries as an embedding model when generate is not supported", () => {
    const { layer, sent } = scripted(({ url }) =>
      url.endsWith("/api/generate") ? [400, { error: '"e" does not support generate' }] : [200, { embeddings: [] }]
    )
    return Effect.gen(function* () {
      yield* (yield* OllamaApi).load(a, "e", { embedder: false, numCtx: 512 })
      assert.deepStrictEqual(sent.map(({ body }) => body), [
        { model: "e", stream: false, options: { num_ctx: 512 } },
        { model: "e", options: { num_ctx: 512 } },
      ])
    }).pipe(Effect.provide(layer))
  })

  it.effect("waits 5 s for an answer, and for a load as long as it takes", () => {
    const { layer } = scripted(() => undefined)
    return Effect.gen(function* () {
      const api = yield* OllamaApi
      const version = yield* Effect.forkChild(Effect.flip(api.version(a)))
      const load = yield* Effect.forkChild(api.load(a, "m", { embedder: false }))
      yield* elapse("5 seconds")
      const error = yield* Fiber.join(version)
      assert.strictEqual(error.reason._tag, "Unreachable")
      assert.match(error.message, /version on a: no answer within 5s/)
      yield* elapse("1 hour", "10 minutes")
      assert.isUndefined(load.pollUnsafe())
    }).pipe(Effect.provide(layer))
  })

  it.effect("reads answers of old servers, and unusual ones", () => {
    const { layer } = scripted(({ url }) => [
      200,
      url.endsWith("/api/tags")
        ? {
          models: [
            { name: "old:latest", size: 1, digest: "d", unknown: { x: 1 } },
            { model: "odd:latest", details: "none", capabilities: 7, digest: "e", size: 2 },
            { size: 3 },
            "not a row",
          ],
        }
        : url.endsWith("/api/ps")
        ? { models: [{ name: "old:latest", size: 9, digest: "d" }] }
        : url.endsWith("/api/show")
        ? { modelfile: "FROM x", capabilities: null, details: 5, license: "long" }
        : { models: null },
    ])
    return Effect.gen(function* () {
      const api = yield* OllamaApi
      assert.deepStrictEqual((yield* api.tags(a)).map(({ digest, model, name }) => [name, model, digest]), [
        ["old:latest", "old:latest", "d"],
        ["odd:latest", "odd:latest", "e"],
      ])
      assert.deepInclude((yield* api.ps(a))[0], { model: "old:latest", size_vram: 9, expires_at: "" })
      assert.strictEqual((yield* api.show(a, "old")).modelfile, "FROM x")
      const error = yield* Effect.flip(api.version(a))
      assert.strictEqual(error.reason._tag, "Malformed")
    }).pipe(Effect.provide(layer))
  })

  it.effect("takes null for an empty list, and fails as malformed on an answer that is not Ollama's", () => {
    const answers: Array<unknown> = [{ models: null }, "<html>", [], { models: 1 }]
    const { layer } = scripted(() => [200, answers.shift()])
    return Effect.gen(function* () {
      const api = yield* OllamaApi
      assert.deepStrictEqual(yield* api.tags(a), [])
      for (let i = 0; i < 3; i++) {
        assert.strictEqual((yield* Effect.flip(api.tags(a))).reason._tag, "Malformed", `answer ${i}`)
      }
    }).pipe(Effect.provide(layer))
  })

  it.effect("takes the text of an error from `error`, from the body or from the status", () => {
    const answers: Array<readonly [number, unknown]> = [
      [500, { error: "out of memory" }],
      [502, "Bad Gateway from a proxy"],
      [403, ""],
    ]
    const { layer } = scripted(() => answers.shift())
    return Effect.gen(function* () {
      const api = yield* OllamaApi
      const texts: Array<string> = []
      for (let i = 0; i < 3; i++) texts.push((yield* Effect.flip(api.ps(a))).message)
      assert.deepStrictEqual(texts, [
        "ps on a: out of memory",
        "ps on a: Bad Gateway from a proxy",
        "ps on a: HTTP status 403",
      ])
    }).pipe(Effect.provide(layer))
  })
})

// In real time: the decoder runs in threads.
it.live("control calls over a transport read answers that a proxy compresses", () =>
  Effect.gen(function* () {
    const api = yield* OllamaApi
    const models = yield* api.tags(backend({ url: "http://sim:11434", id: "sim" }))
    assert.isNotEmpty(models)
  }).pipe(Effect.provide(
    HttpOllamaApi.layerTransport().pipe(
      Layer.provide(SimulatedTransport.layer),
      Layer.provide(SimulatedFleet.layer({ "http://sim:11434": { encoding: "gzip" } })),
    ),
  )))
