import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import * as StaticFleet from "../../../src/layers/fleet/StaticFleet.ts"
import * as FallbackRoutes from "../../../src/layers/routes/FallbackRoutes.ts"
import * as ManagementRoutes from "../../../src/layers/routes/ManagementRoutes.ts"
import * as OllamaRoutes from "../../../src/layers/routes/OllamaRoutes.ts"
import type { HealthState } from "../../../src/services/BackendHealth.ts"
import { OllamaApi, OllamaApiError, Unreachable } from "../../../src/services/OllamaApi.ts"
import * as MockBackendHealth from "../../../src/testing/mocks/MockBackendHealth.ts"
import * as MockModelCatalog from "../../../src/testing/mocks/MockModelCatalog.ts"
import { type Canned, cannedTransport } from "../../support/transport.ts"
import { serve } from "../../support/web.ts"

type Answers = Readonly<Record<string, Canned | "silence">>

const setUp = (options: {
  readonly backends: Readonly<Record<string, Answers>>
  readonly health?: Readonly<Record<string, HealthState>>
  readonly versions?: Readonly<Record<string, string>>
  readonly models?: ReadonlyArray<MockModelCatalog.ModelInput>
}) => {
  const calls: Array<string> = []
  const bodies: Array<string> = []
  const api = Layer.mock(OllamaApi, {
    version: (backend) =>
      options.versions?.[backend.id] === undefined
        ? Effect.fail(
          new OllamaApiError({
            backend: backend.id,
            call: "version",
            reason: new Unreachable({ description: "refused" }),
          }),
        )
        : Effect.succeed(options.versions[backend.id]!),
  })
  const services = Layer.mergeAll(
    StaticFleet.layer(Object.keys(options.backends).map((id) => ({ id, url: `http://${id}:11434` }))),
    MockBackendHealth.layer(options.health ?? {}),
    MockModelCatalog.layer(options.models ?? []),
    api,
    cannedTransport((backend, { body, method, path }) => {
      calls.push(`${backend.id} ${method} ${path}`)
      if (body !== undefined) bodies.push(new TextDecoder().decode(body))
      return options.backends[backend.id]![path]
    }),
  )
  const app = Layer.mergeAll(
    OllamaRoutes.layer({ answerMax: "50 millis" }),
    ManagementRoutes.layer,
    FallbackRoutes.layer,
  ).pipe(Layer.provide(services))
  return Effect.map(serve(app), (ask) => ({ ask, calls, bodies }))
}

const row = (model: string, modified: string, rest = "") =>
  `{"name":"${model}","model":"${model}","modified_at":"${modified}","size":1e3,"new_field":[1,{"a":"]}\\""}]${rest}}`
const tags = (...rows: ReadonlyArray<string>): Canned => ({ body: `{"models":[${rows.join(",")}]}` })

describe("OllamaRoutes", () => {
  it.live("says that Ollama is running", () =>
    Effect.gen(function* () {
      const { ask } = yield* setUp({ backends: { a: {} } })
      const got = yield* ask("GET /")
      assert.strictEqual(got.status, 200)
      assert.strictEqual(got.body, "Ollama is running")
      const head = yield* ask("HEAD /")
      assert.deepStrictEqual([head.status, head.body], [200, ""])
    }))

  it.live("passes on the rows of one backend byte for byte", () =>
    Effect.gen(function* () {
      const rows = [row("b:latest", "2026-01-02T00:00:00.5+02:00"), row("a:latest", "2026-01-01T00:00:00Z")]
      const { ask } = yield* setUp({ backends: { a: { "/api/tags": tags(...rows) } } })
      const got = yield* ask("GET /api/tags")
      assert.strictEqual(got.body, `{"models":[${rows.join(",")}]}`)
      assert.strictEqual(got.headers.get("content-type"), "application/json; charset=utf-8")
      assert.strictEqual((yield* ask("HEAD /api/tags")).status, 200)
    }))

  it.live("merges tags by canonical name, the newest row first", () =>
    Effect.gen(function* () {
      const old = row("Shared:latest", "2026-01-01T00:00:00Z")
      const fresh = row("library/shared", "2026-03-01T00:00:00Z")
      const only = row("only:1b", "2026-02-01T00:00:00Z")
      const { ask } = yield* setUp({
        backends: { a: { "/api/tags": tags(old, only) }, b: { "/api/tags": tags(fresh) }, c: {} },
      })
      assert.strictEqual((yield* ask("GET /api/tags")).body, `{"models":[${fresh},${only}]}`)
    }))

  it.live("leaves out a backend that is silent, and does not ask one that is unhealthy", () =>
    Effect.gen(function* () {
      const mine = row("x:latest", "2026-01-01T00:00:00Z")
      const { ask, calls } = yield* setUp({
        backends: { a: { "/api/tags": "silence" }, b: { "/api/tags": tags(mine) }, c: { "/api/tags": tags() } },
        health: { a: "healthy", b: "healthy", c: "unhealthy" },
      })
      assert.strictEqual((yield* ask("GET /api/tags")).body, `{"models":[${mine}]}`)
      assert.deepStrictEqual(calls, ["a GET /api/tags", "b GET /api/tags"])
    }))

  it.live("is 503 with Retry-After when no backend answers, in the dialect of the path", () =>
    Effect.gen(function* () {
      const { ask } = yield* setUp({ backends: { a: {} }, health: { a: "unhealthy" } })
      for (const path of ["/api/tags", "/api/ps", "/api/version", "/api/status"]) {
        const got = yield* ask(`GET ${path}`)
        assert.strictEqual(got.status, 503, path)
        assert.strictEqual(got.headers.get("retry-after"), "5")
        assert.strictEqual(got.body, `{"error":"no backend can be reached, please try again"}`)
      }
      const models = yield* ask("GET /v1/models")
      assert.deepStrictEqual(JSON.parse(models.body), {
        error: {
          message: "no backend can be reached, please try again",
          type: "api_error",
          param: null,
          code: null,
        },
      })
    }))

  it.live("shows one row of ps for each model, from the backend that keeps it longest", () =>
    Effect.gen(function* () {
      const ps = (model: string, until: string): string =>
        `{"name":"${model}","model":"${model}","expires_at":"${until}","size_vram":5}`
      const short = ps("m:latest", "2026-01-01T00:00:00Z")
      const long = ps("m:latest", "2319-01-01T00:00:00Z")
      const { ask } = yield* setUp({
        backends: { a: { "/api/ps": tags(short) }, b: { "/api/ps": tags(ps("n:1b", "2026-02-01T00:00:00Z"), long) } },
      })
      assert.strictEqual(
        (yield* ask("GET /api/ps")).body,
        `{"models":[${long},${ps("n:1b", "2026-02-01T00:00:00Z")}]}`,
      )
      assert.strictEqual((yield* ask("HEAD /api/ps")).status, 405)
    }))

  it.live("merges /v1/models, null when there is none", () =>
    Effect.gen(function* () {
      const empty: Canned = { body: `{"object":"list","data":null}`, type: "application/json" }
      const model = (id: string, created: number) =>
        `{"id":"${id}","object":"model","created":${created},"owned_by":"library"}`
      const some: Canned = { body: `{"object":"list","data":[${model("a:latest", 5)}]}` }
      const none = yield* setUp({ backends: { a: { "/v1/models": empty }, b: { "/v1/models": empty } } })
      const got = yield* none.ask("GET /v1/models")
      assert.strictEqual(got.body, `{"object":"list","data":null}\n`)
      assert.strictEqual(got.headers.get("content-type"), "application/json")
      const { ask } = yield* setUp({ backends: { a: { "/v1/models": some }, b: { "/v1/models": empty } } })
      assert.strictEqual((yield* ask("GET /v1/models")).body, `{"object":"list","data":[${model("a:latest", 5)}]}\n`)
    }))

  it.live("answers with the lowest version of the healthy backends, or asks the backends", () =>
    Effect.gen(function* () {
      const { ask } = yield* setUp({
        backends: { a: {}, b: {}, c: {} },
        versions: { a: "0.33.0", b: "0.33.0-rc2", c: "0.9.9" },
        health: { a: "healthy", b: "healthy", c: "unhealthy" },
      })
      assert.strictEqual((yield* ask("GET /api/version")).body, `{"version":"0.33.0-rc2"}`)
    }))

  it.live("shows a model from an owner, with the client's own bytes", () =>
    Effect.gen(function* () {
      const shown: Canned = { body: `{"modelfile":"x"}` }
      const { ask, bodies, calls } = yield* setUp({
        backends: { a: { "/api/show": { status: 404, body: "{}" } }, b: { "/api/show": shown } },
        models: [{ name: "llama3", owners: ["b"] }],
      })
      const body = `{ "MODEL": "library/llama3" , "verbose":true}`
      const got = yield* ask("POST /api/show", { body })
      assert.deepStrictEqual([got.status, got.body], [200, shown.body])
      assert.deepStrictEqual(calls, ["b POST /api/show"])
      assert.deepStrictEqual(bodies, [body])
    }))

  it.live("passes on a backend's own error for a missing model or an invalid body", () =>
    Effect.gen(function* () {
      const missing: Canned = { status: 404, body: `{"error":"model 'nope:latest' not found"}` }
      const answers: Answers = { "/api/show": missing, "/v1/models/nope": missing }
      const { ask, calls } = yield* setUp({ backends: { a: answers, b: answers } })
      const got = yield* ask("POST /api/show", { body: `{"model":"nope"}` })
      assert.deepStrictEqual([got.status, got.body], [404, missing.body])
      const one = yield* ask("GET /v1/models/nope")
      assert.deepStrictEqual([one.status, one.body], [404, missing.body])
      assert.deepStrictEqual(calls, ["a POST /api/show", "a GET /v1/models/nope"])
    }))

  it.live("tells in a sentence why a call is refused, as the command line shows it", () =>
    Effect.gen(function* () {
      const { ask } = yield* setUp({ backends: { a: {} }, models: [{ name: "here", owners: ["a"] }] })
      const errorOf = (request: string, body?: object) =>
        Effect.map(
          ask(request, body === undefined ? {} : { body: JSON.stringify(body) }),
          (got) => [got.status, JSON.parse(got.body).error as string] as const,
        )
      const reasons = [
        ["POST /api/me", /^signing in is not allowed: accounts .* sign in, and push, on a backend itself$/],
        ["POST /api/signout", /^signing out is not allowed: /],
        ["DELETE /api/user/keys/abc", /^removing keys is not allowed: /],
        ["POST /api/push", /^push is not allowed: .* push from a backend itself$/],
        ["POST /api/experimental/web_search", /^web search is not allowed: /],
      ] as const
      for (const [request, reason] of reasons) {
        const [status, error] = yield* errorOf(request)
        assert.strictEqual(status, 403)
        assert.match(error, reason)
      }
      const pull = (body: object) => errorOf("POST /api/pull", body)
      // As `ollama run` asks for it, after a 404 of `/api/show`.
      const [status, error] = yield* pull({ model: "", username: "", password: "", name: "nope" })
      assert.strictEqual(status, 403)
      assert.match(error, /^model 'nope' not found, and pull is not allowed: .* pull on a backend itself$/)
      for (const name of ["here", "HERE:latest", "library/here"]) {
        assert.match((yield* pull({ name }))[1], /^pull is not allowed: /)
      }
      for (const name of ["m:", "a b", "../x"]) {
        assert.deepStrictEqual(yield* pull({ name }), [400, "invalid model name"])
      }
    }))

  it.live("refuses calls that change a server; answers wrong methods and unknown paths as Ollama does", () =>
    Effect.gen(function* () {
      const { ask, calls } = yield* setUp({ backends: { a: {} } })
      const pull = yield* ask("POST /api/pull", { body: "{}" })
      assert.strictEqual(pull.status, 403)
      assert.match(JSON.parse(pull.body).error, /^pull is not allowed/)
      assert.strictEqual((yield* ask("DELETE /api/delete")).status, 403)
      assert.strictEqual((yield* ask("HEAD /api/blobs/sha256:00")).status, 403)
      const wrong = yield* ask("POST /api/tags")
      assert.deepStrictEqual([wrong.status, wrong.headers.get("allow"), wrong.body], [
        405,
        "HEAD, GET",
        "405 method not allowed",
      ])
      const none = yield* ask("GET /nope")
      assert.deepStrictEqual([none.status, none.headers.get("content-type"), none.body], [
        404,
        "text/plain",
        "404 page not found",
      ])
      assert.deepStrictEqual(calls, [])
    }))
})
