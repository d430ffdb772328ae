import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import * as FallbackRoutes from "../../../src/layers/routes/FallbackRoutes.ts"
import * as ManagementRoutes from "../../../src/layers/routes/ManagementRoutes.ts"
import * as CorsRoutes from "../../../src/layers/server/CorsRoutes.ts"
import { serve } from "../../support/web.ts"

const app = Layer.mergeAll(
  CorsRoutes.layer({ origins: ["https://chat.example"], allowHeaders: ["X-Chat"] }),
  ManagementRoutes.layer,
  FallbackRoutes.layer,
)
const from = (origin: string) => ({ headers: { origin } })

describe("CorsRoutes", () => {
  it.live("answers preflights for every path, also for inference", () =>
    Effect.gen(function* () {
      const ask = yield* serve(app)
      const got = yield* ask("OPTIONS /api/chat", from("http://localhost:3000"))
      assert.strictEqual(got.status, 204)
      assert.strictEqual(got.headers.get("access-control-allow-origin"), "http://localhost:3000")
      assert.match(got.headers.get("access-control-allow-headers") ?? "", /,X-Chat$/)
    }))

  it.live("lets pages of allowed origins read answers, and refuses all others", () =>
    Effect.gen(function* () {
      const ask = yield* serve(app)
      const allowed = yield* ask("POST /api/pull", from("https://chat.example"))
      assert.deepStrictEqual([allowed.status, allowed.headers.get("access-control-allow-origin")], [
        403,
        "https://chat.example",
      ])
      assert.notStrictEqual(allowed.body, "")
      const evil = yield* ask("POST /api/pull", from("http://evil.example"))
      assert.deepStrictEqual([evil.status, evil.body, evil.headers.get("access-control-allow-origin")], [403, "", null])
      assert.strictEqual((yield* ask("POST /api/pull")).headers.get("access-control-allow-origin"), null)
    }))
})
