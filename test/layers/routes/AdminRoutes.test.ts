import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Redacted } from "effect"
import * as AdminRoutes from "../../../src/layers/routes/AdminRoutes.ts"
import { Admission } from "../../../src/services/Admission.ts"
import { partly, serve } from "../../support/web.ts"

const queue = {
  model: "m:1b",
  depth: 3,
  bytes: 300,
  oldestMillis: 1500,
  waitMillis: 4200.4,
  classes: { interactive: 1, default: 2, batch: 0 },
  tenants: [{ tenant: "a", depth: 3 }],
}

const setUp = Effect.gen(function* () {
  const admission = partly(Admission, { queues: () => [queue] })
  return yield* serve(Layer.provide(AdminRoutes.layer({ token: Redacted.make("secret") }), admission))
})

describe("AdminRoutes", () => {
  it.live("shows the queues with the token", () =>
    Effect.gen(function* () {
      const ask = yield* setUp
      const response = yield* ask("GET /admin/queues", { headers: { authorization: "Bearer secret" } })
      assert.strictEqual(response.status, 200)
      assert.strictEqual(response.headers.get("cache-control"), "no-store")
      assert.deepStrictEqual(JSON.parse(response.body), {
        queues: [{
          model: "m:1b",
          depth: 3,
          bytes: 300,
          oldest_seconds: 1.5,
          estimated_wait_seconds: 4.2,
          classes: { interactive: 1, default: 2, batch: 0 },
          tenants: [{ tenant: "a", depth: 3 }],
        }],
      })
    }))

  it.live("shows nothing without the token", () =>
    Effect.gen(function* () {
      const ask = yield* setUp
      for (const authorization of ["", "Bearer ", "Bearer wrong", "secret", "Bearer secret2"]) {
        const response = yield* ask("GET /admin/queues", { headers: { authorization } })
        assert.strictEqual(response.status, 401)
        assert.notInclude(response.body, "m:1b")
      }
    }))

  it("refuses an empty token", () => assert.throws(() => AdminRoutes.layer({ token: Redacted.make("") }), RangeError))
})
