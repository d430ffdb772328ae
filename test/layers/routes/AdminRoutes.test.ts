import { assert, describe, it } from "@effect/vitest"
import { Effect, Redacted } from "effect"
import { TestClock } from "effect/testing"
import * as AdminRoutes from "../../../src/layers/routes/AdminRoutes.ts"
import * as MemoryLeases from "../../../src/layers/leases/MemoryLeases.ts"
import * as PlannedPrewarmer from "../../../src/layers/memory/prewarm/PlannedPrewarmer.ts"
import * as CronPlan from "../../../src/plugins/plans/CronPlan.ts"
import * as PinnedPlan from "../../../src/plugins/plans/PinnedPlan.ts"
import { changes, events, operator } from "../../support/admin.ts"
import { ask, over } from "../../support/routers.ts"

const two = { a: {}, b: {} }

const reads = [
  "state",
  "backends",
  "backends/a",
  "devices",
  "models",
  "queues",
  "breakers",
  "prewarm",
  "streams",
  "changes",
  "events",
  "decisions",
  "decisions/x",
].map((path) => `GET /admin/${path}`)
const writes = [
  ...["drain", "undrain", "isolate", "load", "unload", "pin", "unpin", "prewarm"].map((action) =>
    `POST /admin/backends/a/${action}`
  ),
  "POST /admin/reload",
]

describe("AdminRoutes without the token", () => {
  it.effect("answers 401 to every call, shows nothing and changes nothing", () =>
    Effect.gen(function* () {
      const { call } = yield* operator()
      for (const line of [...reads, ...writes]) {
        for (
          const authorization of ["", "Bearer ", "Bearer wrong", "secret-of-operators", "Bearer secret-of-operator"]
        ) {
          const body = line.startsWith("POST") ? { model: "tiny-eos" } : undefined
          const { headers, json, status, text } = yield* call(line, body, authorization)
          assert.strictEqual(status, 401, `${line} ${authorization}`)
          assert.deepStrictEqual(json, { error: "a token is needed" })
          assert.match(headers.get("www-authenticate") ?? "", /^Bearer/)
          assert.notInclude(text, "tiny")
        }
      }
      const wrong = yield* call("POST /admin/backends/a/load", "{", "Bearer wrong")
      assert.strictEqual(wrong.status, 401, "the body is read after the token")
      const { json } = yield* call("GET /admin/backends")
      assert.deepStrictEqual(json.backends.map(({ member }: { member: string }) => member), ["active", "active"])
      assert.deepStrictEqual(yield* changes, [])
    }).pipe(Effect.provide(over(two, { events }))))

  it("refuses an empty token", () => {
    assert.throws(() => AdminRoutes.layer({ token: Redacted.make("") }), RangeError)
    const token = Redacted.make("x")
    assert.throws(() => AdminRoutes.layer({ token, tokens: { other: Redacted.make("") } }), RangeError)
  })
})

describe("AdminRoutes with the token", () => {
  it.effect("shows the whole state", () =>
    Effect.gen(function* () {
      const { call } = yield* operator()
      yield* TestClock.adjust("10 seconds")
      const asked = ask("/api/chat", { model: "tiny-eos", messages: [{ role: "user", content: "hi" }] })
      yield* Effect.forkChild(asked, { startImmediately: true })
      yield* TestClock.adjust("10 seconds")
      const { headers, json: state, status } = yield* call("GET /admin/state")
      assert.strictEqual(status, 200)
      assert.strictEqual(headers.get("cache-control"), "no-store")
      assert.strictEqual(state.at, "1970-01-01T00:00:20.000Z")
      assert.deepStrictEqual(state.router, {
        draining: false,
        requests: 0,
        leases: 0,
        prewarmed: true,
        events_lost: 0,
        simulated: false,
      })
      const { latency } = state
      assert.strictEqual(latency.window_seconds, 60)
      // The first request is among those whose routing is measured. In virtual time the router takes none.
      assert.deepStrictEqual(latency.routing, { measured: 1, p50_seconds: 0, p95_seconds: 0, p99_seconds: 0 })
      assert.isAbove(latency.first_byte.p50_seconds, 0)
      assert.strictEqual(latency.queue.measured, 1)
      assert.deepStrictEqual(state.streams, { count: 0, oldest: [] })
      assert.strictEqual(state.traffic.requests, 1)
      assert.strictEqual(state.traffic.answered, 1)
      assert.deepStrictEqual([state.traffic.prompt_tokens, state.traffic.answer_tokens], [25, 49])
      assert.deepStrictEqual(state.backends.map(({ id }: { id: string }) => id), ["a", "b"])
      const used = state.backends.find(({ models }: { models: ReadonlyArray<unknown> }) => models.length > 0)
      assert.strictEqual(used.health, "healthy")
      assert.strictEqual(used.breaker, "closed")
      assert.match(used.version, /^\d/)
      assert.strictEqual(used.streams, 0)
      const [model] = used.models
      assert.strictEqual(model.model, "tiny-eos:latest")
      assert.strictEqual(model.state, "resident")
      assert.match(model.expires_at, /^1970-01-01T00:05:10/)
      assert.isAbove(model.size, 0)
      assert.isFalse(model.pinned)
      assert.deepStrictEqual(state.queues, [])
      assert.deepStrictEqual(state.breakers.map(({ backend, state }: Record<string, string>) => [backend, state]), [
        ["a", "closed"],
        ["b", "closed"],
      ])
      const { json: one } = yield* call(`GET /admin/backends/${used.id}`)
      assert.deepStrictEqual(one, used)
      const { json: catalog } = yield* call("GET /admin/models")
      const eos = catalog.models.find(({ model }: { model: string }) => model === "tiny-eos:latest")
      assert.deepStrictEqual(eos.backends.map(({ backend }: { backend: string }) => backend), ["a", "b"])
    }).pipe(Effect.provide(over({ a: { decodeRate: 100 }, b: { decodeRate: 100 } }, { events }))))

  it.effect("shows the queues by model and tenant", () =>
    Effect.gen(function* () {
      const { call } = yield* operator()
      yield* TestClock.adjust("6 seconds")
      const asked = (tenant: string) =>
        Effect.forkChild(ask("/api/generate", { model: "tiny-loop", prompt: tenant }, undefined, [], { tenant }), {
          startImmediately: true,
        })
      for (const tenant of ["x", "x", "y", "y", "y"]) yield* asked(tenant)
      yield* TestClock.adjust("1500 millis")
      const { json } = yield* call("GET /admin/queues")
      assert.strictEqual(json.queues.length, 1)
      const [{ bytes, classes, depth, estimated_wait_seconds, model, oldest_seconds, tenants }] = json.queues
      assert.deepStrictEqual([model, depth, oldest_seconds], ["tiny-loop:latest", 4, 1.5])
      assert.deepStrictEqual(classes, { interactive: 0, default: 4, batch: 0 })
      assert.sameDeepMembers(tenants, [{ tenant: "x", depth: 1 }, { tenant: "y", depth: 3 }])
      assert.isAbove(bytes, 0)
      assert.isNumber(estimated_wait_seconds)
      const { json: state } = yield* call("GET /admin/state")
      assert.deepStrictEqual(state.queues, json.queues)
      assert.strictEqual(state.backends[0].streams, 1)
      assert.strictEqual(state.backends[0].models[0].streams, 1)
    }).pipe(Effect.provide(over({ a: { decodeRate: 1 } }, { events, leases: MemoryLeases.layerFixed }))))

  it.effect("lists the streams under way, the oldest first", () =>
    Effect.gen(function* () {
      const { call } = yield* operator({ simulated: true })
      yield* TestClock.adjust("6 seconds")
      for (const tenant of ["x", "y", "z"]) {
        yield* Effect.forkChild(
          ask("/api/generate", { model: "tiny-loop", prompt: tenant }, undefined, [], { tenant }),
          {
            startImmediately: true,
          },
        )
        yield* TestClock.adjust("1 second")
      }
      const { json } = yield* call("GET /admin/streams")
      assert.strictEqual(json.count, 2)
      assert.deepStrictEqual(json.oldest.map(({ tenant }: { tenant: string }) => tenant), ["x", "y"])
      const [{ bytes, first_byte_seconds, received_at, since, ...rest }] = json.oldest
      assert.deepInclude(rest, { route: "/api/generate", model: "tiny-loop:latest", tenant: "x", backend: "a" })
      assert.match(rest.id, /^t\d+$/)
      assert.strictEqual(received_at, "1970-01-01T00:00:06.000Z")
      assert.isAtLeast(Date.parse(since), Date.parse(received_at))
      assert.isAbove(bytes, 0)
      assert.isAtLeast(first_byte_seconds, 0)
      const { json: state } = yield* call("GET /admin/state")
      assert.deepStrictEqual(state.streams, json)
      assert.isTrue(state.router.simulated)
    }).pipe(Effect.provide(
      over({ a: { decodeRate: 5, parallelism: 2 } }, { events, leases: MemoryLeases.layerFixed }, { parallelism: 2 }),
    )))

  it.effect("shows the plans with their times, and since when each model is as it is", () =>
    Effect.gen(function* () {
      const { call } = yield* operator()
      yield* TestClock.adjust("6 seconds")
      const { json } = yield* call("GET /admin/prewarm")
      assert.deepStrictEqual(json.plans, [
        {
          plan: "pinned",
          models: ["nobody:latest"],
          since: "1970-01-01T00:00:00.000Z",
          every_seconds: 1,
          failure: "",
          schedule: null,
        },
        {
          plan: "cron",
          models: [],
          since: "1970-01-01T00:00:00.000Z",
          every_seconds: 1,
          failure: "",
          schedule: {
            models: ["tiny-eos"],
            active: false,
            last_at: "1969-12-31T18:00:00.000Z",
            next_at: "1970-01-01T08:55:00.000Z",
          },
        },
      ])
      assert.deepStrictEqual(json.prewarm, [{
        plan: "pinned",
        model: "nobody:latest",
        backend: null,
        state: "failed",
        reason: "no backend has it",
        since: "1970-01-01T00:00:00.000Z",
      }])
      const { json: state } = yield* call("GET /admin/state")
      assert.deepStrictEqual([state.prewarm, state.plans], [json.prewarm, json.plans])
    }).pipe(Effect.provide(over(two, {
      events,
      prewarmer: PlannedPrewarmer.layer({
        plans: [
          PinnedPlan.make(["nobody"]),
          CronPlan.make({ models: ["tiny-eos"], from: "0 9 * * *", until: "0 18 * * *" }),
        ],
      }),
    }))))

  it.effect("says 404 for what there is not, 405 for other methods, and 400 in words for bad input", () =>
    Effect.gen(function* () {
      const { call } = yield* operator()
      yield* TestClock.adjust("6 seconds")
      const said = function* (line: string, body: unknown, status: number, words: RegExp) {
        const told = yield* call(line, body)
        assert.strictEqual(told.status, status, `${line}: ${told.text}`)
        assert.match(told.json.error, words, line)
      }
      yield* said("GET /admin/backends/c", undefined, 404, /no backend is called "c"/)
      yield* said("POST /admin/backends/c/drain", undefined, 404, /no backend is called "c"/)
      yield* said("POST /admin/backends/c/load", { model: "tiny-eos" }, 404, /no backend is called "c"/)
      yield* said("POST /admin/backends/a/load", { model: "nobody" }, 404, /no backend has the model "nobody"/)
      yield* said("POST /admin/backends/a/load", {}, 400, /model/)
      yield* said("POST /admin/backends/a/load", { model: "" }, 400, /model/)
      yield* said("POST /admin/backends/a/load", { model: 5 }, 400, /model/)
      yield* said("POST /admin/backends/a/load", { model: "tiny-eos", num_ctx: -1 }, 400, /num_ctx/)
      yield* said("POST /admin/backends/a/load", { model: "tiny-eos", wait: "yes" }, 400, /wait/)
      yield* said("POST /admin/backends/a/pin", undefined, 400, /./)
      yield* said("POST /admin/backends/a/pin", "{", 400, /./)
      yield* said("GET /admin/changes?limit=0", undefined, 400, /whole number/)
      yield* said("GET /admin/decisions", undefined, 404, /LLAMERO_DECISIONS/)
      const wrong = yield* call("DELETE /admin/backends/a/drain")
      assert.deepStrictEqual([wrong.status, wrong.headers.get("allow")], [405, "POST"])
      const posted = yield* call("POST /admin/queues")
      assert.deepStrictEqual([posted.status, posted.headers.get("allow")], [405, "HEAD, GET"])
      const head = yield* call("HEAD /admin/queues")
      assert.deepStrictEqual([head.status, head.text], [200, ""])
    }).pipe(Effect.provide(over(two, { events }))))

  it.effect("describes itself in OpenAPI, every path with its errors", () =>
    Effect.gen(function* () {
      const { call } = yield* operator()
      const { json, status } = yield* call("GET /admin/openapi.json", undefined, "")
      assert.strictEqual(status, 200)
      const paths = [...reads, ...writes].map((line) => line.split(" ")[1]!)
        .map((path) => path.replace(/\/a\b/, "/{id}").replace(/\/x$/, "/{id}"))
      assert.includeMembers(Object.keys(json.paths), paths)
      for (
        const [path, methods] of Object.entries<Record<string, { responses: object; summary?: string }>>(json.paths)
      ) {
        for (const { responses, summary } of Object.values(methods)) {
          assert.property(responses, "401", path)
          assert.isNotEmpty(summary, path)
        }
      }
    }).pipe(Effect.provide(over(two, { events }))))
})
