/** Requests that share a call: their spans have a link to the span of that call, which the backend knows. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import * as WatchedRelay from "../../../src/layers/relay/WatchedRelay.ts"
import * as SimulatedFleet from "../../../src/simulated/SimulatedFleet.ts"
import { ask, url } from "../../support/routers.ts"
import { traced } from "./collector.ts"

const { Fault } = SimulatedFleet
const chat = { model: "tiny-eos", messages: [{ role: "user", content: "hi" }], options: { temperature: 0 } }
const embed = (text: string) => ({ model: "tiny-embed", input: text })
const slow = { decodeRate: 50, overhead: "20 millis", prefillRate: 5000 } as const
const exported = TestClock.adjust("6 seconds")

const all = (count: number, path: string, body: (i: number) => object) =>
  Effect.forEach(
    Array.from({ length: count }, (_, i) => i),
    (i) => Effect.forkChild(ask(path, body(i)), { startImmediately: true }),
  )

/** Loads the model. */
const warm = (path: string, body: object) =>
  Effect.gen(function* () {
    yield* TestClock.adjust("1 second")
    const fiber = yield* Effect.forkChild(ask(path, body), { startImmediately: true })
    yield* TestClock.adjust("20 seconds")
    yield* Fiber.join(fiber)
    yield* exported
  })

describe("links", () => {
  const same = traced({ a: slow })
  it.effect("of identical requests", () =>
    Effect.gen(function* () {
      const { collector, heard } = same
      yield* warm("/api/chat", { ...chat, options: {} })
      collector.spans.length = heard.length = 0
      const fibers = yield* all(3, "/api/chat", () => chat)
      yield* TestClock.adjust("20 seconds")
      yield* Effect.forEach(fibers, Fiber.join)
      yield* exported
      const call = collector.one(/^chat /)
      const requests = collector.named("POST /api/chat")
      assert.lengthOf(requests, 3)
      assert.lengthOf(new Set(requests.map(({ traceId }) => traceId)) as never, 3)
      const [leader, ...others] = requests.toSorted((a, b) => a.links.length - b.links.length)
      assert.deepInclude(call, { parent: leader!.spanId, traceId: leader!.traceId })
      assert.deepStrictEqual(leader!.links, [])
      for (const { attributes, links } of others) {
        assert.deepStrictEqual(links, [`${call.traceId} ${call.spanId}`])
        assert.strictEqual(attributes["llamero.coalesced"], "identical")
      }
      assert.deepStrictEqual(
        heard.map(({ headers }) => headers["traceparent"]),
        [`00-${call.traceId}-${call.spanId}-03`],
      )
    }).pipe(Effect.provide(same.layer)))

  const batch = traced({ a: slow })
  it.effect("of the members of an embedding batch", () =>
    Effect.gen(function* () {
      const { collector, heard } = batch
      yield* warm("/api/embed", embed("warm"))
      collector.spans.length = heard.length = 0
      const fibers = yield* all(12, "/api/embed", (i) => embed(`text ${i} `.repeat(20)))
      yield* TestClock.adjust("30 seconds")
      yield* Effect.forEach(fibers, Fiber.join)
      yield* exported
      const requests = collector.named("POST /api/embed")
      assert.lengthOf(requests, 12)
      const calls = new Map(collector.named(/^embeddings /).map((call) => [`${call.traceId} ${call.spanId}`, call]))
      assert.isBelow(calls.size, 12)
      const members = requests.filter(({ attributes }) => attributes["llamero.coalesced"] === "batch")
      assert.lengthOf(members, 12 - calls.size)
      for (const { links, traceId } of members) {
        assert.lengthOf(links, 1)
        assert.isTrue(calls.has(links[0]!))
        assert.notStrictEqual(calls.get(links[0]!)!.traceId, traceId)
      }
      assert.sameMembers(
        heard.map(({ headers }) => headers["traceparent"]),
        Array.from(calls.values(), ({ spanId, traceId }) => `00-${traceId}-${spanId}-03`),
      )
    }).pipe(Effect.provide(batch.layer)))

  const left = traced({ a: slow })
  it.effect("where the first client leaves: the call stays in its trace, and the next client has a link to it", () =>
    Effect.gen(function* () {
      const { collector } = left
      yield* warm("/api/chat", { ...chat, options: {} })
      collector.spans.length = 0
      const [first, second] = yield* all(2, "/api/chat", () => chat)
      yield* TestClock.adjust("200 millis")
      yield* Fiber.interrupt(first!)
      yield* TestClock.adjust("20 seconds")
      yield* Fiber.join(second!)
      yield* exported
      const requests = collector.named("POST /api/chat")
      const canceled = requests.find(({ attributes }) => attributes["llamero.result"] === "canceled")!
      const answered = requests.find(({ attributes }) => attributes["llamero.result"] === "answered")!
      const call = collector.one(/^chat /)
      assert.deepInclude(call, { parent: canceled.spanId, traceId: canceled.traceId })
      assert.strictEqual(call.attributes["llamero.outcome"], "ok")
      assert.strictEqual(call.to, answered.to)
      assert.deepStrictEqual(answered.links, [`${call.traceId} ${call.spanId}`])
    }).pipe(Effect.provide(left.layer)))

  const empty = traced({ a: slow })
  it.effect("where all clients leave: the call that the backend knows is exported", () =>
    Effect.gen(function* () {
      const { collector, heard } = empty
      yield* warm("/api/chat", { ...chat, options: {} })
      collector.spans.length = heard.length = 0
      const fibers = yield* all(2, "/api/chat", () => chat)
      yield* TestClock.adjust("200 millis")
      for (const fiber of fibers) yield* Fiber.interrupt(fiber)
      yield* exported
      const call = collector.one(/^chat /)
      assert.strictEqual(call.attributes["llamero.outcome"], "client-gone")
      assert.strictEqual(heard[0]!.headers["traceparent"], `00-${call.traceId}-${call.spanId}-03`)
      assert.isTrue(collector.named("POST /api/chat").some(({ spanId }) => spanId === call.parent))
    }).pipe(Effect.provide(empty.layer)))

  const failing = traced({ a: slow }, { sampler: "always_off" }, {
    relay: WatchedRelay.layer({ firstByteMillis: 500 }),
  })
  it.effect("where the shared call fails: its attempt is exported with the first client's error", () =>
    Effect.gen(function* () {
      const { collector } = failing
      yield* warm("/api/chat", { ...chat, options: {} })
      ;(yield* SimulatedFleet.SimulatedFleet).get(url("a")).faults.set(Fault.hang, { path: "/api/chat" })
      const fibers = yield* all(2, "/api/chat", () => chat)
      yield* TestClock.adjust("20 seconds")
      yield* Effect.forEach(fibers, Fiber.join)
      yield* exported
      assert.deepStrictEqual(collector.named("POST /api/chat").map(({ status }) => status), [2, 2])
      assert.strictEqual(collector.one(/^chat /).attributes["error.type"], "first-byte-timeout")
    }).pipe(Effect.provide(failing.layer)))
})
