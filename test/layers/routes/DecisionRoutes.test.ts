import { assert, describe, it } from "@effect/vitest"
import { Effect, Redacted } from "effect"
import * as DecisionRoutes from "../../../src/layers/routes/DecisionRoutes.ts"
import type { Decision } from "../../../src/services/Decisions.ts"
import { serve } from "../../support/web.ts"

const decision = (id: string): Decision => ({
  settled: {
    _tag: "RequestSettled",
    at: 1500,
    id,
    route: "/api/chat",
    kind: "chat",
    model: "m:latest",
    known: true,
    tenant: "team",
    settled: {
      result: "answered",
      status: 200,
      refusal: undefined,
      outcome: { kind: "success", cause: "ok", firstByteMillis: 250 },
      backend: "b",
      attempts: 2,
      queuedMillis: 12.4,
    },
    totalMillis: 1250,
    bytesIn: 10,
    bytesOut: 20,
  },
  steps: [{ _tag: "AttemptFailed", at: 1000, id, backend: "a", cause: "refused" }],
})
const shown = (id: string) => ({
  id,
  at: "1970-01-01T00:00:01.500Z",
  route: "/api/chat",
  model: "m:latest",
  tenant: "team",
  result: "answered",
  status: 200,
  backend: "b",
  attempts: 2,
  outcome: "ok",
  first_byte_seconds: 0.25,
  queued_seconds: 0.012,
  total_seconds: 1.25,
  steps: [{ event: "AttemptFailed", at: "1970-01-01T00:00:01.000Z", backend: "a", cause: "refused" }],
})

const all = ["3", "2", "1"].map(decision)
const routes = (token: string) =>
  DecisionRoutes.layer({
    token: Redacted.make(token),
    decisions: {
      recent: (limit) => all.slice(0, limit),
      find: (wanted) => all.find(({ settled }) => settled.id === wanted),
    },
  })
const headers = { authorization: "Bearer secret" }

describe("DecisionRoutes", () => {
  it.live("shows the last requests, newest first, to a client with the token", () =>
    Effect.gen(function* () {
      const ask = yield* serve(routes("secret"))
      const response = yield* ask("GET /admin/decisions", { headers })
      assert.strictEqual(response.status, 200)
      assert.strictEqual(response.headers.get("cache-control"), "no-store")
      assert.deepStrictEqual(JSON.parse(response.body), { decisions: ["3", "2", "1"].map(shown) })
      const two = yield* ask("GET /admin/decisions?limit=2", { headers })
      assert.deepStrictEqual(JSON.parse(two.body), { decisions: ["3", "2"].map(shown) })
    }))

  it.live("shows one request by its id", () =>
    Effect.gen(function* () {
      const ask = yield* serve(routes("secret"))
      assert.deepStrictEqual(JSON.parse((yield* ask("GET /admin/decisions?id=2", { headers })).body), shown("2"))
      assert.strictEqual((yield* ask("GET /admin/decisions?id=9", { headers })).status, 404)
    }))

  it.live("refuses a limit that is not a whole number of at least 1", () =>
    Effect.gen(function* () {
      const ask = yield* serve(routes("secret"))
      for (const limit of ["0", "-1", "1.5", "x"]) {
        assert.strictEqual((yield* ask(`GET /admin/decisions?limit=${limit}`, { headers })).status, 400, limit)
      }
    }))

  it.live("answers 401 without the token", () =>
    Effect.gen(function* () {
      const ask = yield* serve(routes("secret"))
      for (const authorization of ["", "Bearer ", "Bearer wrong", "secret"]) {
        const response = yield* ask("GET /admin/decisions", { headers: { authorization } })
        assert.strictEqual(response.status, 401)
        assert.notInclude(response.body, "m:latest")
      }
    }))

  it("needs a token that is not empty", () => assert.throws(() => routes(""), RangeError))
})
