import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as AdminReferenceRoutes from "../../../src/layers/routes/AdminReferenceRoutes.ts"
import { serve } from "../../support/web.ts"

describe("AdminReferenceRoutes", () => {
  it.live("serves one page about every path, which loads nothing from other servers", () =>
    Effect.gen(function* () {
      const ask = yield* serve(AdminReferenceRoutes.layer)
      const { body, headers, status } = yield* ask("GET /admin/docs")
      assert.strictEqual(status, 200)
      assert.match(headers.get("content-type") ?? "", /^text\/html/)
      assert.match(headers.get("content-security-policy") ?? "", /default-src 'none'.*connect-src 'self'/)
      for (const path of ["/admin/state", "/admin/backends/{id}/drain", "/admin/decisions/{id}/why", "/admin/reload"]) {
        assert.include(body, path)
      }
      assert.notMatch(body, /<(?:script|link|img)[^>]+(?:src|href)=["']https?:/)
      assert.strictEqual((yield* ask("GET /admin/docs")).body.length, body.length)
    }))
})
