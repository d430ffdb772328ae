/** Which requests are exported, what their backends are told, and which spans have links. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import * as FailoverRetry from "../../../src/plugins/retry/FailoverRetry.ts"
import * as HedgeRetry from "../../../src/plugins/retry/HedgeRetry.ts"
import { Fleet } from "../../../src/services/Fleet.ts"
import { ModelCatalog } from "../../../src/services/ModelCatalog.ts"
import { Residency } from "../../../src/services/Residency.ts"
import * as SimulatedFleet from "../../../src/simulated/SimulatedFleet.ts"
import { ask, idle, nothing, url } from "../../support/routers.ts"
import { type Heard, traced } from "./collector.ts"

const { Fault } = SimulatedFleet
const chat = { model: "tiny-eos", messages: [{ role: "user", content: "hi" }] }
const traceId = "0af7651916cd43dd8448eb211c80319c"
const client = (flags: string) => `00-${traceId}-b7ad6b7169203331-${flags}`
const from = (flags: string) => ["traceparent", client(flags), "tracestate", "v=1"]

const ready = TestClock.adjust("1 second")
/** Lets what waits be exported. */
const exported = TestClock.adjust("6 seconds")
const finish = (headers: ReadonlyArray<string> = [], body: object = chat, path = "/api/chat") =>
  Effect.gen(function* () {
    const fiber = yield* Effect.forkChild(ask(path, body, undefined, headers), { startImmediately: true })
    yield* TestClock.adjust("20 seconds")
    const ended = yield* Fiber.join(fiber)
    yield* exported
    return ended
  })
const server = (id: string) => Effect.map(SimulatedFleet.SimulatedFleet, (fleet) => fleet.get(url(id)))
const last = (heard: ReadonlyArray<Heard>, path = "/api/chat") => heard.findLast((call) => call.path === path)!.headers

describe("head sampling", () => {
  const off = traced({ a: {} }, { sampler: "always_off" })
  it.effect("of a request that is not chosen, exports nothing and passes the client's own context on", () =>
    Effect.gen(function* () {
      yield* ready
      yield* finish(from("01"))
      assert.deepInclude(last(off.heard), { traceparent: client("01"), tracestate: "v=1" })
      yield* finish()
      assert.notProperty(last(off.heard), "traceparent")
      assert.lengthOf(off.collector.spans, 0)
      assert.strictEqual(off.collector.asked, 0)
    }).pipe(Effect.provide(off.layer)))

  const based = traced({ a: {} }, { sampler: "parentbased_always_off" })
  it.effect("based on the parent follows it", () =>
    Effect.gen(function* () {
      yield* ready
      yield* finish(from("00"))
      yield* finish()
      assert.lengthOf(based.collector.spans, 0)
      assert.strictEqual((yield* finish(from("01"))).settled.status, 200)
      assert.strictEqual(based.collector.one("POST /api/chat").traceId, traceId)
    }).pipe(Effect.provide(based.layer)))

  const wrong = traced({ a: {} })
  it.effect("with a context that is not valid, begins a new trace without its state", () =>
    Effect.gen(function* () {
      yield* ready
      yield* finish(["traceparent", client("01").toUpperCase(), "tracestate", "v=1"])
      const request = wrong.collector.one("POST /api/chat")
      const call = wrong.collector.one(/^chat /)
      assert.notStrictEqual(request.traceId, traceId)
      assert.isUndefined(request.parent)
      assert.isUndefined(request.state)
      assert.strictEqual(last(wrong.heard)["traceparent"], `00-${request.traceId}-${call.spanId}-03`)
      assert.notProperty(last(wrong.heard), "tracestate")
    }).pipe(Effect.provide(wrong.layer)))

  const none = traced({ a: {} }, false)
  it.effect("without tracing, the client's headers are passed on, valid or not", () =>
    Effect.gen(function* () {
      yield* ready
      yield* finish(["traceparent", "x", "tracestate", "A"])
      assert.deepInclude(last(none.heard), { traceparent: "x", tracestate: "A" })
      assert.strictEqual(none.collector.asked, 0)
    }).pipe(Effect.provide(none.layer)))
})

describe("failed requests", () => {
  const failing = traced({ a: {} }, { sampler: "always_off" })
  it.effect("are exported though not chosen: refused, answered with 500, cut off", () =>
    Effect.gen(function* () {
      yield* ready
      yield* finish()
      const { faults } = yield* server("a")
      const since = () => failing.collector.spans.splice(0)
      assert.lengthOf(since(), 0)

      const stop = faults.set(Fault.refuse, { path: "/api/chat" })
      assert.strictEqual((yield* finish(from("00"))).settled.status, 502)
      const [request, ...more] = since()
      const call = more.find(({ name }) => name.startsWith("chat "))
      assert.deepInclude(request, { name: "POST /api/chat", status: 2, traceId, parent: "b7ad6b7169203331" })
      assert.strictEqual(request!.attributes["error.type"], "BackendFailed")
      assert.deepInclude(call, { status: 2, parent: request!.spanId })
      assert.strictEqual(call!.attributes["error.type"], "refused")
      assert.strictEqual(last(failing.heard)["traceparent"], client("00"), "the backend did not know")
      stop()

      faults.set(Fault.failure(500, "no"), { path: "/api/chat" })
      assert.strictEqual((yield* finish()).settled.status, 500)
      const spans = since()
      assert.deepStrictEqual(spans.map(({ attributes }) => attributes["error.type"]).filter(Boolean), [
        "http-500",
        "http-500",
      ])
      assert.deepStrictEqual(yield* idle, nothing)
    }).pipe(Effect.provide(failing.layer)))

  const quiet = traced({ a: {} }, { sampler: "always_off", errors: false })
  it.effect("are not exported where that is turned off; errors of the client and clients that leave never", () =>
    Effect.gen(function* () {
      yield* ready
      yield* finish()
      ;(yield* server("a")).faults.set(Fault.refuse, { path: "/api/chat" })
      assert.strictEqual((yield* finish()).settled.status, 502)
      assert.lengthOf(quiet.collector.spans, 0)
    }).pipe(Effect.provide(quiet.layer)))

  const others = traced({ a: {} }, { sampler: "always_off" })
  it.effect("are not: an error of the client, and a client that leaves", () =>
    Effect.gen(function* () {
      yield* ready
      assert.strictEqual((yield* finish([], { ...chat, model: "nope" })).settled.status, 404)
      const leaving = yield* Effect.forkChild(ask("/api/chat", chat), { startImmediately: true })
      yield* Fiber.interrupt(leaving)
      yield* exported
      assert.lengthOf(others.collector.spans, 0)
    }).pipe(Effect.provide(others.layer)))

  const slow = traced({ a: { loadTime: "8 seconds" } }, { sampler: "always_off", slowMillis: 5000 })
  it.effect("slow requests are exported, and fast ones are not", () =>
    Effect.gen(function* () {
      yield* ready
      yield* finish()
      assert.isAtLeast(slow.collector.one("POST /api/chat").to - slow.collector.one("POST /api/chat").from, 5000)
      const { length } = slow.collector.spans
      yield* finish()
      assert.lengthOf(slow.collector.spans, length)
    }).pipe(Effect.provide(slow.layer)))
})

describe("the spans of several attempts", () => {
  const two = traced({ a: {}, b: {} })
  it.effect("of a retry: each has its own id, and its backend got that", () =>
    Effect.gen(function* () {
      yield* ready
      yield* finish()
      const first = two.heard.findLast(({ path }) => path === "/api/chat")!.backend
      two.collector.spans.length = 0
      two.heard.length = 0
      ;(yield* server(first)).faults.set(Fault.reset(), { path: "/api/chat" })
      assert.strictEqual((yield* finish()).settled.attempts, 2)
      const request = two.collector.one("POST /api/chat")
      const calls = two.collector.named(/^chat /)
      assert.strictEqual(request.status, 0)
      assert.deepStrictEqual(calls.map(({ status }) => status), [2, 0])
      assert.deepStrictEqual(calls.map(({ parent }) => parent), [request.spanId, request.spanId])
      assert.deepStrictEqual(
        two.heard.filter(({ path }) => path === "/api/chat").map((
          { backend, headers },
        ) => [backend, headers["traceparent"]]),
        calls.map((call) => [call.attributes["llamero.backend"], `00-${request.traceId}-${call.spanId}-03`]),
      )
      assert.deepStrictEqual(calls.map(({ attributes }) => attributes["error.type"]), ["reset", undefined])
    }).pipe(Effect.provide(two.layer)))

  const server2 = { overhead: "50 millis", parallelism: 1 } as const
  const hedging = traced({ a: server2, b: server2 }, {}, {
    retry: HedgeRetry.make(FailoverRetry.make(), { samplesMin: 5 }),
  })
  it.effect("of a hedge: both are there, and the one that was aborted says so", () =>
    Effect.gen(function* () {
      yield* ready
      for (let i = 0; i < 6; i++) yield* finish()
      const known = (yield* ModelCatalog).peek("tiny-eos")!
      const residency = yield* Residency
      for (const { backend } of (yield* Fleet).members()) {
        yield* Effect.forkChild(residency.load(backend, known), { startImmediately: true })
      }
      yield* TestClock.adjust("20 seconds")
      hedging.collector.spans.length = 0
      hedging.heard.length = 0
      const faults = yield* Effect.forEach(["a", "b"], (id) => Effect.map(server(id), (one) => one.faults))
      for (const one of faults) one.set(Fault.slow("15 seconds"), { path: "/api/chat" })
      const fiber = yield* Effect.forkChild(ask("/api/chat", chat), { startImmediately: true })
      // Only the first attempt is slow.
      faults[hedging.heard[0]!.backend === "a" ? 1 : 0]!.clear()
      yield* TestClock.adjust("20 seconds")
      yield* Fiber.join(fiber)
      yield* exported
      const calls = hedging.collector.named(/^chat /)
      assert.deepStrictEqual(calls.map(({ attributes }) => attributes["llamero.outcome"]), ["hedged", "ok"])
      assert.deepStrictEqual(calls.map(({ status }) => status), [0, 0])
      assert.isAbove(calls[1]!.from, calls[0]!.from)
      assert.isBelow(calls[1]!.from, calls[0]!.to)
      assert.lengthOf(hedging.collector.named("queue"), 0)
      assert.deepStrictEqual(
        hedging.heard.map(({ headers }) => headers["traceparent"]?.slice(36, 52)),
        calls.map(({ spanId }) => spanId),
      )
    }).pipe(Effect.provide(hedging.layer)))

  const gone = traced({ a: { overhead: "50 millis", decodeRate: 10 } })
  it.effect("of a client that leaves in the middle: the first byte is there, and it is no error", () =>
    Effect.gen(function* () {
      yield* ready
      yield* finish()
      gone.collector.spans.length = 0
      const leaving = yield* Effect.forkChild(ask("/api/chat", chat), { startImmediately: true })
      yield* TestClock.adjust("2 seconds")
      yield* Fiber.interrupt(leaving)
      yield* exported
      const request = gone.collector.one("POST /api/chat")
      const call = gone.collector.one(/^chat /)
      assert.strictEqual(request.attributes["llamero.result"], "canceled")
      assert.notProperty(request.attributes, "http.response.status_code")
      assert.strictEqual(call.attributes["llamero.outcome"], "client-gone")
      assert.deepStrictEqual([request.status, call.status], [0, 0])
      assert.deepStrictEqual(call.events.map(({ name }) => name), ["first_byte"])
      assert.isAbove(gone.collector.one("relay").to, gone.collector.one("relay").from)
    }).pipe(Effect.provide(gone.layer)))
})
