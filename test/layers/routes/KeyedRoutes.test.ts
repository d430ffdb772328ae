/** Keys for routes that are not inference: which calls are allowed, and which models a key shows. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import * as StaticFleet from "../../../src/layers/fleet/StaticFleet.ts"
import * as StaticApiKeys from "../../../src/layers/keys/StaticApiKeys.ts"
import * as KeyedRoutes from "../../../src/layers/routes/KeyedRoutes.ts"
import * as OllamaRoutes from "../../../src/layers/routes/OllamaRoutes.ts"
import { OllamaApi } from "../../../src/services/OllamaApi.ts"
import * as MockBackendHealth from "../../../src/testing/mocks/MockBackendHealth.ts"
import * as MockModelCatalog from "../../../src/testing/mocks/MockModelCatalog.ts"
import { type Canned, cannedTransport } from "../../support/transport.ts"
import { serve } from "../../support/web.ts"

const named = (...models: ReadonlyArray<string>) =>
  JSON.stringify({ models: models.map((model) => ({ name: model, model })) })
const listed = (...ids: ReadonlyArray<string>) =>
  JSON.stringify({ object: "list", data: ids.map((id) => ({ id, object: "model", created: 1 })) })

const answers: Readonly<Record<string, Canned>> = {
  "/api/tags": { body: named("mine:1b", "theirs:latest", "alsomine:latest") },
  "/api/ps": { body: named("theirs:latest", "MINE:1b") },
  "/v1/models": { body: listed("theirs", "alsomine") },
  "/api/show": { body: `{"details":{}}` },
  "/v1/models/mine%3A1b": { body: `{"id":"mine:1b"}` },
}

const setUp = (options?: Parameters<typeof KeyedRoutes.layer>[0]) => {
  const calls: Array<string> = []
  const services = Layer.mergeAll(
    StaticFleet.layer([{ id: "a", url: "http://a:11434" }]),
    MockBackendHealth.layer({}),
    MockModelCatalog.layer([]),
    Layer.mock(OllamaApi, { version: () => Effect.succeed("0.33.0") }),
    StaticApiKeys.layer([
      { id: "all", secret: { key: "k-all" } },
      { id: "some", secret: { key: "k-some" }, models: ["Mine:1b", "alsomine"] },
      { id: "none", secret: { key: "k-none" }, models: [] },
    ]),
    cannedTransport((_, { path }) => {
      calls.push(path)
      return answers[path] ?? { status: 404, body: "{}" }
    }),
  )
  const app = Layer.merge(OllamaRoutes.layer(), KeyedRoutes.layer(options)).pipe(Layer.provide(services))
  return Effect.map(serve(app), (ask) => ({
    calls,
    ask: (line: string, key: string, body?: object | string) =>
      ask(line, {
        ...(key === "" ? {} : { headers: { authorization: `Bearer ${key}` } }),
        ...(body === undefined ? {} : { body: typeof body === "string" ? body : JSON.stringify(body) }),
      }),
  }))
}

describe("KeyedRoutes", () => {
  it.live("401 with a challenge, in the shape of the path, and no call to a backend", () =>
    Effect.gen(function* () {
      const { ask, calls } = yield* setUp()
      for (const [key, said] of [["", "is needed"], ["k-wrong", "is not valid"]] as const) {
        const native = yield* ask("GET /api/tags", key)
        assert.deepStrictEqual([native.status, Object.keys(JSON.parse(native.body))], [401, ["error"]])
        assert.include(JSON.parse(native.body).error, said)
        assert.strictEqual(native.headers.get("www-authenticate"), `Bearer realm="llamero"`)
        const openai = yield* ask("GET /v1/models", key)
        assert.strictEqual(openai.headers.get("www-authenticate"), `Bearer realm="llamero"`)
        const { error } = JSON.parse(openai.body)
        assert.deepInclude(error, { type: "invalid_request_error", param: null, code: "invalid_api_key" })
        assert.include(error.message, said)
      }
      assert.deepStrictEqual(calls, [])
      assert.isNull((yield* ask("GET /api/tags", "k-all")).headers.get("www-authenticate"))
    }))

  const models = (body: string): ReadonlyArray<string> => {
    const { data, models } = JSON.parse(body)
    return (models ?? data ?? []).map(({ id, model }: { readonly id: string; readonly model: string }) => model ?? id)
  }
  const lists: ReadonlyArray<readonly [string, ReadonlyArray<string>, ReadonlyArray<string>]> = [
    ["/api/tags", ["mine:1b", "theirs:latest", "alsomine:latest"], ["mine:1b", "alsomine:latest"]],
    ["/api/ps", ["theirs:latest", "MINE:1b"], ["MINE:1b"]],
    ["/v1/models", ["theirs", "alsomine"], ["alsomine"]],
  ]
  for (const [path, all, some] of lists) {
    it.live(`${path}: a key for some models sees only these`, () =>
      Effect.gen(function* () {
        const { ask } = yield* setUp()
        assert.deepStrictEqual(models((yield* ask(`GET ${path}`, "k-all")).body), all)
        assert.deepStrictEqual(models((yield* ask(`GET ${path}`, "k-some")).body), some)
        const none = yield* ask(`GET ${path}`, "k-none")
        assert.deepStrictEqual([none.status, models(none.body)], [200, []])
      }))
  }

  it.live("show: the model that Ollama would read is the one that is checked", () =>
    Effect.gen(function* () {
      const { ask, calls } = yield* setUp()
      const other = [
        `{"model":"mine:1b","Model":"theirs"}`,
        `{"model":"mine:1b","model":"theirs"}`,
        `{"model":"mine:1b","mod\\u0065l":"theirs","MODEL":null}`,
        `{"name":"mine:1b","model":"theirs"}`,
        `{"model":"mine:1b","model":"","NAME":"theirs"}`,
        `{"model":"theirs"}{"model":"mine:1b"}`,
      ]
      for (const body of other) assert.strictEqual((yield* ask("POST /api/show", "k-some", body)).status, 403, body)
      assert.deepStrictEqual(calls, [])
      const own = [
        `{"Model":"theirs","model":"mine:1b"}`,
        `{"model":"mine:1b"} and more`,
        `{"model":"mine:1b","model":null}`,
        `{"model":"","name":"mine:1b"}`,
      ]
      for (const body of own) assert.strictEqual((yield* ask("POST /api/show", "k-some", body)).status, 200, body)
    }))

  it.live("show: a body above 1 MiB is refused, since no server counts it", () =>
    Effect.gen(function* () {
      const { ask, calls } = yield* setUp()
      const long = { model: "mine:1b", system: "x".repeat(1024 * 1024) }
      assert.strictEqual((yield* ask("POST /api/show", "k-all", long)).status, 413)
      assert.deepStrictEqual(calls, [])
    }))

  it.live("show and /v1/models/NAME: 403 for other models, whether they exist or not", () =>
    Effect.gen(function* () {
      const { ask, calls } = yield* setUp()
      for (const name of ["theirs", "nobody-has-it"]) {
        const show = yield* ask("POST /api/show", "k-some", { NAME: name })
        const error = `this API key is not for the model '${name}'`
        assert.deepStrictEqual([show.status, JSON.parse(show.body)], [403, { error }])
        const model = yield* ask(`GET /v1/models/${name}`, "k-some")
        assert.deepStrictEqual([model.status, JSON.parse(model.body).error], [
          403,
          { message: error, type: "invalid_request_error", param: null, code: "model_not_found" },
        ])
      }
      assert.deepStrictEqual(calls, [])
      assert.strictEqual((yield* ask("POST /api/show", "k-some", { model: "library/mine:1B" })).status, 200)
      assert.strictEqual((yield* ask("POST /api/show", "k-all", { model: "theirs" })).status, 200)
      assert.strictEqual((yield* ask("GET /v1/models/mine:1b", "k-some")).status, 200)
    }))

  it.live("needs no key for the exact paths in `open`", () =>
    Effect.gen(function* () {
      const { ask } = yield* setUp({ open: ["/api/version"] })
      assert.strictEqual((yield* ask("GET /api/version?x", "")).status, 200)
      assert.strictEqual((yield* ask("GET /api/version?x", "k-wrong")).status, 200)
      for (const path of ["/api/version/", "/API/version", "/api/tags?/api/version", "/livez"]) {
        assert.strictEqual((yield* ask(`GET ${path}`, "")).status, 401, path)
      }
    }))
})
