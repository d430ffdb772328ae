import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { HttpRouter } from "effect/http"
import * as FallbackRoutes from "../../../src/layers/routes/FallbackRoutes.ts"
import * as KeyedRoutes from "../../../src/layers/routes/KeyedRoutes.ts"
import * as Respond from "../../../src/layers/routes/respond.ts"
import * as StatusPageRoutes from "../../../src/layers/routes/StatusPageRoutes.ts"
import * as StaticApiKeys from "../../../src/layers/keys/StaticApiKeys.ts"
import { serve } from "../../support/web.ts"

/** What stands for the rest of the app. */
const others = Layer.merge(
  HttpRouter.use((http) =>
    http.addAll([HttpRouter.route<never, never>("GET", "/", Effect.succeed(Respond.json('"Ollama is running"')))])
  ),
  FallbackRoutes.layer,
)

const accepting = (accept: string): RequestInit => ({ headers: { accept } })
const chromium = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"

describe("StatusPageRoutes", () => {
  it.live("serves its files with a strict policy, and 304 to a browser that has them", () =>
    Effect.gen(function* () {
      const ask = yield* serve(Layer.merge(others, StatusPageRoutes.layer))
      for (
        const [path, type] of [["/ui", "text/html"], ["/ui/page.js", "text/javascript"], ["/ui/page.css", "text/css"]]
      ) {
        const { body, headers, status } = yield* ask(`GET ${path}`)
        assert.strictEqual(status, 200)
        assert.isAbove(body.length, 100)
        assert.match(headers.get("content-type") ?? "", new RegExp(`^${type}`))
        assert.strictEqual(headers.get("x-content-type-options"), "nosniff")
        const policy = headers.get("content-security-policy") ?? ""
        for (const rule of ["default-src 'none'", "script-src 'self'", "style-src 'self'", "frame-ancestors 'none'"]) {
          assert.include(policy, rule)
        }
        assert.notMatch(policy, /unsafe/)
        const again = yield* ask(`GET ${path}`, { headers: { "if-none-match": headers.get("etag") ?? "?" } })
        assert.deepStrictEqual([again.status, again.body], [304, ""])
        assert.strictEqual((yield* ask(`GET ${path}`, { headers: { "if-none-match": '"old"' } })).status, 200)
      }
      assert.strictEqual((yield* ask("POST /ui")).status, 405)
      assert.strictEqual((yield* ask("GET /ui/other")).status, 404)
    }))

  it.live("sends browsers from / to the page, and nobody else", () =>
    Effect.gen(function* () {
      const ask = yield* serve(Layer.merge(others, StatusPageRoutes.layer))
      for (const accept of [chromium, "text/html", "application/json, text/html;q=0.1"]) {
        const { headers, status } = yield* ask("GET /", accepting(accept))
        assert.deepStrictEqual([status, headers.get("location"), headers.get("vary")], [302, "/ui", "Accept"])
      }
      for (const accept of ["*/*", "application/json", "text/plain", "text/htmlx", ""]) {
        const { body, status } = yield* ask("GET /", accept === "" ? undefined : accepting(accept))
        assert.deepStrictEqual([status, body], [200, '"Ollama is running"'])
      }
      // Only the root: a browser that asks for another path gets what the path has.
      assert.strictEqual((yield* ask("GET /api/nothing", accepting(chromium))).status, 404)
      assert.notStrictEqual((yield* ask("POST /", accepting(chromium))).status, 302)
    }))

  it.live("without a token it says how to switch the page on, and leaves / as it is", () =>
    Effect.gen(function* () {
      const ask = yield* serve(Layer.merge(others, StatusPageRoutes.layerOff))
      const { body, status } = yield* ask("GET /ui")
      assert.strictEqual(status, 200)
      assert.include(body, "LLAMERO_ADMIN_TOKEN")
      assert.notInclude(body, "<script")
      assert.strictEqual((yield* ask("GET /ui/page.js")).status, 404)
      assert.strictEqual((yield* ask("GET /", accepting(chromium))).status, 200)
    }))

  it.live("needs no API key, since a browser sends none", () =>
    Effect.gen(function* () {
      const keyed = KeyedRoutes.layer().pipe(Layer.provide(StaticApiKeys.layer([])))
      const ask = yield* serve(Layer.mergeAll(others, keyed, StatusPageRoutes.layer))
      assert.strictEqual((yield* ask("GET /ui")).status, 200)
      assert.strictEqual((yield* ask("GET /ui/page.js")).status, 200)
      assert.strictEqual((yield* ask("GET /uix")).status, 401)
    }))
})
