/** The last requests over the admin API: listed, found by id, and in words. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import * as MemoryLeases from "../../../src/layers/leases/MemoryLeases.ts"
import * as PipelineRouter from "../../../src/layers/router/PipelineRouter.ts"
import * as DecisionHistory from "../../../src/plugins/observers/DecisionHistory.ts"
import type { Decision } from "../../../src/services/Decisions.ts"
import { events, operator } from "../../support/admin.ts"
import { ask, over } from "../../support/routers.ts"

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
const decisions = {
  recent: (limit: number) => all.slice(0, limit),
  find: (wanted: string) => all.find(({ settled }) => settled.id === wanted),
}

describe("/admin/decisions", () => {
  it.effect("lists the last requests, newest first", () =>
    Effect.gen(function* () {
      const { call } = yield* operator({ decisions })
      const response = yield* call("GET /admin/decisions")
      assert.strictEqual(response.status, 200)
      assert.strictEqual(response.headers.get("cache-control"), "no-store")
      assert.deepStrictEqual(response.json, { decisions: ["3", "2", "1"].map(shown) })
      assert.deepStrictEqual((yield* call("GET /admin/decisions?limit=2")).json, { decisions: ["3", "2"].map(shown) })
      for (const limit of ["0", "-1", "1.5", "x"]) {
        const wrong = yield* call(`GET /admin/decisions?limit=${limit}`)
        assert.deepStrictEqual(
          [wrong.status, wrong.json.error],
          [400, "limit must be a whole number of at least 1"],
          limit,
        )
      }
    }).pipe(Effect.provide(over({ a: {} }))))

  it.effect("shows one request by its id, also in words", () =>
    Effect.gen(function* () {
      const { call } = yield* operator({ decisions })
      assert.deepStrictEqual((yield* call("GET /admin/decisions?id=2")).json, shown("2"))
      assert.deepStrictEqual((yield* call("GET /admin/decisions/2")).json, shown("2"))
      for (const path of ["?id=9", "/9", "/9/why"]) {
        const missing = yield* call(`GET /admin/decisions${path}`)
        assert.deepStrictEqual([missing.status, missing.json.error], [404, "no request with this id is remembered"])
      }
      const { json } = yield* call("GET /admin/decisions/2/why")
      assert.strictEqual(json.id, "2")
      assert.strictEqual(json.summary, "b answered the request for m:latest with 200 after 1.25 s.")
      assert.include(json.sentences, "The attempt on a failed: it refused the connection.")
      const plain = yield* call("GET /admin/decisions/2/why", undefined, undefined, "text/plain")
      assert.match(plain.headers.get("content-type")!, /^text\/plain/)
      assert.strictEqual(plain.text, [json.summary, ...json.sentences, ""].join("\n"))
    }).pipe(Effect.provide(over({ a: {} }))))

  it.effect("tells when a request passed each stage, what the router added, and its tokens", () => {
    const { settled, steps } = decision("staged")
    const { outcome, ...rest } = settled.settled
    const staged: Decision = {
      steps,
      settled: {
        ...settled,
        settled: {
          ...rest,
          outcome: { ...outcome!, usage: { promptTokens: 7, answerTokens: 9, slotWaitMillis: undefined } },
        },
        routingMillis: 0.1234,
        arrivedAt: 200,
        receivedAt: 250,
        askedAt: 251,
        loadingAt: 260,
        leasedAt: 1000,
        firstByteAt: 1250,
      },
    }
    return Effect.gen(function* () {
      const { call } = yield* operator({ decisions: { recent: () => [staged], find: () => staged } })
      const { json } = yield* call("GET /admin/decisions/staged")
      assert.deepStrictEqual(json, {
        ...shown("staged"),
        routing_seconds: 0.000_123,
        arrived_at: "1970-01-01T00:00:00.200Z",
        received_at: "1970-01-01T00:00:00.250Z",
        asked_at: "1970-01-01T00:00:00.251Z",
        loading_at: "1970-01-01T00:00:00.260Z",
        leased_at: "1970-01-01T00:00:01.000Z",
        first_byte_at: "1970-01-01T00:00:01.250Z",
        prompt_tokens: 7,
        answer_tokens: 9,
      })
    }).pipe(Effect.provide(over({ a: {} })))
  })

  const history = DecisionHistory.make()
  it.effect("remembers placements with their candidates, and says why a request waited", () =>
    Effect.gen(function* () {
      const { call } = yield* operator({ decisions: history })
      yield* TestClock.adjust("6 seconds")
      const started = (id: string) =>
        Effect.forkChild(ask("/api/generate", { model: "tiny-eos", prompt: id }), { startImmediately: true })
      const running = yield* started("running")
      yield* TestClock.adjust("10 millis")
      const waiting = yield* started("waiting")
      yield* TestClock.adjust("60 seconds")
      yield* Fiber.join(running)
      yield* Fiber.join(waiting)
      yield* TestClock.adjust("1 second")
      const { json } = yield* call("GET /admin/decisions?limit=1")
      const [{ id, steps }] = json.decisions
      assert.deepStrictEqual(steps.map(({ answer, event }: Record<string, string>) => [event, answer]), [
        ["Placed", "wait"],
        ["Placed", "lease"],
      ])
      const [candidate] = steps[0].candidates
      assert.strictEqual(candidate.backend, "a")
      assert.strictEqual(candidate.no_lease, "served 1 requests of the model, all that it may")
      assert.isObject(candidate.scores)
      const words = yield* call(
        `GET /admin/decisions/${encodeURIComponent(id)}/why`,
        undefined,
        undefined,
        "text/plain",
      )
      assert.match(words.text, /It had to wait: a served 1 requests of the model, all that it may\./)
      assert.match(words.text, /It waited 2\.\d+ s before its last attempt began\./)
      assert.match(words.text, /Most of it was waiting and earlier attempts\./)
    }).pipe(Effect.provide(
      over({ a: { decodeRate: 20 } }, {
        events,
        leases: MemoryLeases.layerFixed,
        router: PipelineRouter.layer({ placementsPerSecond: 20 }),
        observers: [history.observer],
      }),
    )))
})
