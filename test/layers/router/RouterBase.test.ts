import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Layer, Logger } from "effect"
import { TestClock } from "effect/testing"
import * as RouterBase from "../../../src/layers/router/RouterBase.ts"
import * as Standard from "../../../src/layers/Standard.ts"
import { Admission } from "../../../src/services/Admission.ts"
import { Leases } from "../../../src/services/Leases.ts"
import { ModelCatalog } from "../../../src/services/ModelCatalog.ts"
import { notOffered, type Outcome } from "../../../src/services/Outcome.ts"
import { Placement } from "../../../src/services/Placement.ts"
import { refuse } from "../../../src/services/Refusal.ts"
import { Relay } from "../../../src/services/Relay.ts"
import { Router } from "../../../src/services/Router.ts"
import { RouterEvents } from "../../../src/services/RouterEvents.ts"
import { RouterContract } from "../../../src/testing/index.ts"
import { holds } from "../../support/checks.ts"
import { ask as routed, request } from "../../support/routers.ts"
import { RecordingReply } from "../../support/sinks.ts"
import { traced } from "../tracing/collector.ts"

/** One attempt for each request. */
const router = Layer.effect(
  Router,
  Effect.gen(function* () {
    const admission = yield* Admission
    const catalog = yield* ModelCatalog
    const leases = yield* Leases
    const placement = yield* Placement
    const relay = yield* Relay
    return yield* RouterBase.make((request, reply) =>
      Effect.flatMap(RouterBase.find(catalog, request), (model) => {
        const demand = RouterBase.demandOf(request, model)
        return admission.admit(
          demand,
          (waiting) => leases.commit(placement.rank(demand, leases.view), demand, waiting),
          (lease) => RouterBase.send(relay, lease, request, reply),
        )
      })
    )
  }),
)

holds("Router contract: a router made with RouterBase", RouterContract.histories(Standard.layer({ router })))

const answered = { _tag: "Answered", status: 200, outcome: { kind: "success", cause: "ok" } } as const
const only = (route: Parameters<typeof RouterBase.make>[0]) => Layer.effect(Router, RouterBase.make(route))
holds(
  "Router contract: a router made with RouterBase, alone",
  RouterContract.contract({
    answers: only((_, reply) =>
      Effect.sync(() => {
        reply.open({ pause: () => {}, resume: () => {}, abort: () => {} })
        reply.head(200, [])
        reply.end()
        return { attempt: answered, backend: "a", queuedMillis: 0 }
      })
    ),
    refuses: only(() => Effect.fail(refuse("NoBackend", "none"))),
  }),
)

const ask = Effect.gen(function* () {
  const reply = new RecordingReply()
  const made = yield* Router
  const settled = yield* made.route(request("/api/chat", { model: "m", messages: [] }), reply)
  return { active: made.active(), reply, settled }
})

describe("RouterBase", () => {
  it.effect("passes the answer of a backend on that does not have the path", () =>
    Effect.gen(function* () {
      const answer = { status: 404, rawHeaders: [], body: new TextEncoder().encode("404 page not found") }
      const route = (outcome: Outcome) => () =>
        Effect.succeed({ attempt: { _tag: "Retry" as const, outcome, answer }, backend: "a", queuedMillis: 0 })
      const { reply, settled } = yield* Effect.provide(ask, only(route(notOffered)))
      assert.deepStrictEqual([settled.status, settled.result, reply.text], [404, "answered", "404 page not found"])
      const other = yield* Effect.provide(ask, only(route({ kind: "saturated", cause: "http-503" })))
      assert.deepStrictEqual([other.settled.status, other.settled.result], [502, "refused"])
    }))

  it.effect("refuses as Internal when its function dies or throws", () =>
    Effect.gen(function* () {
      for (
        const route of [
          () => Effect.die("boom"),
          () => {
            throw new Error("boom")
          },
        ]
      ) {
        const { active, reply, settled } = yield* Effect.provide(ask, only(route))
        assert.strictEqual(settled.status, 500)
        assert.deepStrictEqual(reply.refusals.map(({ reason }) => reason), ["Internal"])
        assert.strictEqual(active, 0)
      }
    }).pipe(Effect.provide(Logger.layer([]))))

  it.effect("refuses as BackendFailed when its attempt has no answer", () =>
    Effect.gen(function* () {
      const attempt = { _tag: "Retry", outcome: { kind: "failure", cause: "reset" }, answer: undefined } as const
      const { settled } = yield* Effect.provide(
        ask,
        only(() => Effect.succeed({ attempt, backend: "a", queuedMillis: 3 })),
      )
      assert.strictEqual(settled.refusal?.reason, "BackendFailed")
      assert.strictEqual(settled.backend, "a")
      assert.strictEqual(settled.queuedMillis, 3)
    }))

  const chat = { model: "tiny-eos", messages: [{ role: "user", content: "hi" }] }
  const from = ["traceparent", `00-${"a".repeat(32)}-${"b".repeat(16)}-01`]
  const call = (body: object, headers: ReadonlyArray<string> = from) =>
    Effect.gen(function* () {
      const fiber = yield* Effect.forkChild(routed("/api/chat", body, undefined, headers), { startImmediately: true })
      yield* TestClock.adjust("20 seconds")
      const { settled } = yield* Fiber.join(fiber)
      yield* TestClock.adjust("6 seconds")
      return settled
    })

  const { collector, heard, layer } = traced({ a: {} }, {}, { router })
  it.effect("is traced: the request, its attempt, and the backend that knows of it", () =>
    Effect.gen(function* () {
      yield* TestClock.adjust("1 second")
      yield* call(chat)
      collector.spans.length = heard.length = 0
      assert.strictEqual((yield* call(chat)).status, 200)
      const [request, attempt, relay] = [
        collector.one("POST /api/chat"),
        collector.one(/^chat /),
        collector.one("relay"),
      ]
      assert.deepInclude(request, { traceId: "a".repeat(32), parent: "b".repeat(16), status: 0 })
      assert.deepInclude(request.attributes, {
        "llamero.result": "answered",
        "gen_ai.response.model": "tiny-eos:latest",
      })
      assert.strictEqual(attempt.parent, request.spanId)
      assert.strictEqual(relay.parent, attempt.spanId)
      assert.strictEqual(attempt.attributes["llamero.outcome"], "ok")
      const { headers } = heard.find(({ path }) => path === "/api/chat")!
      assert.strictEqual(headers["traceparent"], `00-${attempt.traceId}-${attempt.spanId}-01`)
      collector.spans.length = 0
      assert.strictEqual((yield* call({ ...chat, model: "nope" })).status, 404)
      assert.strictEqual(collector.one("POST /api/chat").attributes["llamero.refusal"], "ModelNotFound")
    }).pipe(Effect.provide(layer)))

  const leaving = traced({ a: { decodeRate: 1 } }, {}, { router })
  it.effect("has a record of a client that leaves, too", () =>
    Effect.gen(function* () {
      yield* TestClock.adjust("1 second")
      const fiber = yield* Effect.forkChild(routed("/api/chat", { ...chat, model: "tiny-loop" }, undefined, from), {
        startImmediately: true,
      })
      yield* TestClock.adjust("10 seconds")
      yield* Fiber.interrupt(fiber)
      yield* TestClock.adjust("6 seconds")
      assert.strictEqual(leaving.collector.one("POST /api/chat").attributes["llamero.result"], "canceled")
      assert.strictEqual(leaving.collector.one(/^chat /).attributes["llamero.outcome"], "client-gone")
      const settled = (yield* RouterEvents).recent(50).filter(({ _tag }) => _tag === "RequestSettled")
      assert.lengthOf(settled, 1)
    }).pipe(Effect.provide(leaving.layer)))

  it.effect("publishes one record of each request, with the model as the catalog has it", () =>
    Effect.gen(function* () {
      yield* TestClock.adjust("1 second")
      yield* call(chat, [])
      yield* call({ ...chat, model: "nope" }, [])
      const settled = (yield* RouterEvents).recent(50).flatMap((one) => one._tag === "RequestSettled" ? [one] : [])
      assert.deepStrictEqual(
        settled.map((
          { known, model, settled: { attempts, status }, trace },
        ) => [model, known, status, attempts, trace]),
        [["nope", false, 404, 0, undefined], ["tiny-eos:latest", true, 200, 1, undefined]],
      )
    }).pipe(Effect.provide(traced({ a: {} }, false, { router }).layer)))
})
