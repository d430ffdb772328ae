/** Shared calls through the whole router, over a simulated fleet. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import * as MemoryCoalescer from "../../../src/layers/coalescing/MemoryCoalescer.ts"
import * as SynchronousRouterEvents from "../../../src/layers/events/SynchronousRouterEvents.ts"
import * as PipelineRouter from "../../../src/layers/router/PipelineRouter.ts"
import type { Guard } from "../../../src/services/Plugin.ts"
import type { RequestSettled } from "../../../src/services/RouterEvents.ts"
import { RouterEvents } from "../../../src/services/RouterEvents.ts"
import * as SimulatedFleet from "../../../src/simulated/SimulatedFleet.ts"
import { ask, idle, nothing, over, url } from "../../support/routers.ts"
import { RecordingReply } from "../../support/sinks.ts"

const { Fault } = SimulatedFleet
const chat = { model: "tiny-eos", messages: [{ role: "user", content: "hi" }], options: { temperature: 0 } }
/** The same request to Ollama, written differently. */
const respelled = { options: { temperature: 0 }, messages: chat.messages, stream: true, model: chat.model }
const server = Effect.map(SimulatedFleet.SimulatedFleet, (fleet) => fleet.get(url("a")))
const upstream = (path: string) =>
  Effect.map(server, ({ calls }) => calls.filter((call) => call.path === path && call.body !== undefined))
const ready = TestClock.adjust("1 second")

const all = (count: number, one: (i: number) => readonly [string, object]) =>
  Effect.forEach(Array.from({ length: count }, (_, i) => i), (i) => {
    const reply = new RecordingReply()
    const [path, body] = one(i)
    return Effect.map(
      Effect.forkChild(ask(path, body, reply), { startImmediately: true }),
      (fiber) => ({ reply, fiber }),
    )
  })

/** Loads the model and clears the call log. */
const warm = (path: string, body: object) =>
  Effect.gen(function* () {
    yield* ready
    const fiber = yield* Effect.forkChild(ask(path, body), { startImmediately: true })
    yield* TestClock.adjust("20 seconds")
    const { reply } = yield* Fiber.join(fiber)
    const settled = (yield* RouterEvents).recent(10_000).length
    return { reply, before: (yield* upstream(path)).length, settled }
  })

const settledSince = (count: number) =>
  Effect.map(RouterEvents, (events) => {
    const seen = events.recent(10_000)
    return seen.slice(0, seen.length - count).filter((one): one is RequestSettled => one._tag === "RequestSettled")
  })

const embed = (text: string, more: object = {}) => ({ model: "tiny-embed", input: text, ...more })
const options = { events: SynchronousRouterEvents.layer }
const slow = { decodeRate: 50, overhead: "20 millis", prefillRate: 5000 } as const

/** The content of an answer, without times and without the token count, which Ollama gives for the whole call only. */
const said = (reply: RecordingReply): unknown => {
  const { load_duration: _, prompt_eval_count: _1, total_duration: _2, usage: _3, ...rest } = JSON.parse(reply.text)
  return rest
}

describe("coalescing over a simulated fleet", () => {
  it.effect("100 identical chats at once: one upstream call, 100 equal answers, each settled once", () =>
    Effect.gen(function* () {
      const { before, settled } = yield* warm("/api/chat", { ...chat, options: {} })
      const clients = yield* all(100, () => ["/api/chat", chat])
      yield* TestClock.adjust("30 seconds")
      for (const { fiber } of clients) yield* Fiber.join(fiber)
      assert.strictEqual((yield* upstream("/api/chat")).length - before, 1)
      const [first] = clients
      assert.include(first!.reply.text, `"done":true`)
      for (const { reply } of clients) assert.strictEqual(reply.text, first!.reply.text)
      const events = yield* settledSince(settled)
      assert.lengthOf(events, 100)
      assert.lengthOf(events.filter((event) => event.settled.coalesced === "identical"), 99)
      assert.strictEqual(events.reduce((sum, event) => sum + event.settled.attempts, 0), 1)
      assert.lengthOf(clients.filter(({ reply }) => reply.annotations.includes("X-Llamero-Coalesced")), 99)
      assert.deepStrictEqual(yield* idle, nothing)
    }).pipe(Effect.provide(over({ a: slow }, options))))

  it.effect("the leader is killed half way: the other 99 get the whole answer", () =>
    Effect.gen(function* () {
      const { before } = yield* warm("/api/chat", { ...chat, options: {} })
      const clients = yield* all(100, () => ["/api/chat", chat])
      yield* TestClock.adjust("500 millis")
      const [leader, ...others] = clients
      assert.isAbove(leader!.reply.bytes, 0)
      yield* Fiber.interrupt(leader!.fiber)
      yield* TestClock.adjust("30 seconds")
      for (const { fiber } of others) yield* Fiber.join(fiber)
      assert.strictEqual((yield* upstream("/api/chat")).length - before, 1)
      assert.notInclude(leader!.reply.text, `"done":true`)
      for (const { reply } of others) {
        assert.include(reply.text, `"done":true`)
        assert.strictEqual(reply.text, others[0]!.reply.text)
        assert.isTrue(reply.text.startsWith(leader!.reply.text))
      }
      assert.deepStrictEqual(yield* idle, nothing)
    }).pipe(Effect.provide(over({ a: slow }, options))))

  it.effect("all clients leave: the upstream call is aborted, and nothing is left over", () =>
    Effect.gen(function* () {
      yield* warm("/api/chat", { ...chat, options: {} })
      const clients = yield* all(3, () => ["/api/chat", chat])
      yield* TestClock.adjust("500 millis")
      for (const { fiber } of clients) yield* Fiber.interrupt(fiber)
      const calls = yield* upstream("/api/chat")
      assert.strictEqual(calls.at(-1)!.state, "aborted")
      assert.deepStrictEqual(yield* idle, nothing)
      const gone = (yield* RouterEvents).recent(100).filter((event) => event._tag === "AttemptFailed")
      assert.deepStrictEqual(gone.map(({ cause }) => cause), ["client-gone"])
      const left = (yield* RouterEvents).recent(4).filter((event) => event._tag === "RequestSettled")
      assert.lengthOf(left, 3)
      for (const event of left) assert.deepInclude(event.settled, { status: 499, backend: undefined, attempts: 0 })
    }).pipe(Effect.provide(over({ a: slow }, options))))

  it.effect("a client that joins late gets the bytes sent before, then the rest", () =>
    Effect.gen(function* () {
      yield* warm("/api/chat", { ...chat, options: {} })
      const [early] = yield* all(1, () => ["/api/chat", chat])
      yield* TestClock.adjust("600 millis")
      const [late] = yield* all(1, () => ["/api/chat", respelled])
      assert.strictEqual(late!.reply.text, early!.reply.text)
      assert.isAbove(late!.reply.bytes, 0)
      yield* TestClock.adjust("30 seconds")
      yield* Fiber.join(late!.fiber)
      assert.strictEqual(late!.reply.text, early!.reply.text)
    }).pipe(Effect.provide(over({ a: slow }, options))))

  it.effect("answers that may differ are not shared: sampled ones, other options, other tenants", () => {
    let turn = 0
    const tenants: Guard = {
      kind: "guard",
      name: "tenants",
      check: (request) => ({ _tag: "Pass", request: { ...request, tenant: `t${turn++ % 2}` } }),
    }
    return Effect.gen(function* () {
      const { before } = yield* warm("/api/chat", { ...chat, options: {} })
      const { options: _, ...plain } = chat
      const bodies = [
        plain,
        plain,
        { ...chat, stream: false },
        { ...chat, options: { temperature: 0, seed: 1 } },
        chat,
        chat,
      ]
      const clients = yield* all(bodies.length, (i) => ["/api/chat", bodies[i]!])
      yield* TestClock.adjust("30 seconds")
      for (const { fiber } of clients) yield* Fiber.join(fiber)
      assert.strictEqual((yield* upstream("/api/chat")).length - before, bodies.length)
    }).pipe(
      Effect.provide(over({ a: slow }, { ...options, router: PipelineRouter.layer({ guards: [tenants] }) })),
    )
  })

  it.effect("a refusal reaches every client of the flight", () =>
    Effect.gen(function* () {
      yield* warm("/api/chat", { ...chat, options: {} })
      const [busy] = yield* all(1, () => ["/api/chat", { ...chat, model: "tiny-loop", options: {} }])
      yield* TestClock.adjust("5 seconds")
      ;(yield* server).faults.set(Fault.refuse, { path: "/api/chat", times: 10 })
      const clients = yield* all(5, () => ["/api/chat", { ...chat, model: "tiny-loop" }])
      yield* Fiber.interrupt(busy!.fiber)
      yield* TestClock.adjust("5 seconds")
      for (const { fiber, reply } of clients) {
        assert.strictEqual((yield* Fiber.join(fiber)).settled.result, "refused")
        assert.strictEqual(reply.refusals[0]!.status, 502)
      }
      assert.deepStrictEqual(yield* idle, nothing)
    }).pipe(Effect.provide(over({ a: slow }, options))))

  it.effect("all clients of a flight that waits for a load get heartbeats", () =>
    Effect.gen(function* () {
      yield* ready
      const clients = yield* all(3, () => ["/api/chat", chat])
      yield* TestClock.adjust("39 seconds")
      for (const { reply } of clients) assert.strictEqual(reply.heartbeats, 2)
      yield* TestClock.adjust("1 minute")
      for (const { fiber, reply } of clients) {
        yield* Fiber.join(fiber)
        assert.include(reply.text, `"done":true`)
      }
    }).pipe(Effect.provide(over({ a: { loadTime: "40 seconds" } }, options))))

  for (const path of ["/api/embed", "/v1/embeddings"]) {
    it.effect(
      `${path}: 1,000 different texts at once: at most 32 upstream calls, each answer that of a direct call`,
      () =>
        Effect.gen(function* () {
          const { before, settled } = yield* warm(path, embed("first"))
          const clients = yield* all(1000, (i) => [path, embed(`text ${i} `.repeat(1 + i % 3))])
          yield* TestClock.adjust("60 seconds")
          for (const { fiber } of clients) yield* Fiber.join(fiber)
          assert.isAtMost((yield* upstream(path)).length - before, 32)
          for (const [i, { reply }] of clients.entries()) {
            if (i % 50 !== 0) continue
            const fiber = yield* Effect.forkChild(ask(path, embed(`text ${i} `.repeat(1 + i % 3))), {
              startImmediately: true,
            })
            yield* TestClock.adjust("5 seconds")
            const direct = (yield* Fiber.join(fiber)).reply
            assert.deepStrictEqual(said(reply), said(direct))
            assert.strictEqual(reply.rawHeaders.length, direct.rawHeaders.length)
          }
          for (const { reply } of clients) {
            assert.strictEqual(reply.status, 200)
            assert.strictEqual(reply.endings, 1)
          }
          assert.strictEqual(new Set(clients.map(({ reply }) => JSON.stringify(said(reply)))).size, 1000)
          const events = (yield* settledSince(settled)).filter((event) => event.settled.coalesced === "batch")
          assert.isAbove(events.length, 950)
          assert.deepStrictEqual(yield* idle, nothing)
        }).pipe(Effect.provide(over({ a: slow }, options))),
      30_000,
    )
  }

  it.effect("token counts of a batch add up to what the backend counted", () =>
    Effect.gen(function* () {
      yield* warm("/v1/embeddings", embed("first"))
      const texts = ["one", "one two", "one two three four", "five"]
      const clients = yield* all(texts.length, (i) => ["/v1/embeddings", embed(texts[i]!)])
      yield* TestClock.adjust("10 seconds")
      const usages = yield* Effect.forEach(clients, ({ fiber, reply }) =>
        Effect.as(Fiber.join(fiber), JSON.parse(reply.text).usage as { prompt_tokens: number; total_tokens: number }))
      const batch = usages.slice(1)
      const fiber = yield* Effect.forkChild(ask("/v1/embeddings", { ...embed(""), input: texts.slice(1) }), {
        startImmediately: true,
      })
      yield* TestClock.adjust("10 seconds")
      const { usage } = JSON.parse((yield* Fiber.join(fiber)).reply.text)
      assert.strictEqual(
        batch.reduce((sum, { prompt_tokens }) =>
          sum + prompt_tokens, 0),
        usage.prompt_tokens,
      )
      for (const { prompt_tokens, total_tokens } of batch) {
        assert.strictEqual(prompt_tokens, total_tokens)
      }
      assert.isTrue(
        clients.slice(1).every(({ reply }) =>
          reply.annotations.join().includes("X-Llamero-Batch,3")
        ),
      )
    }).pipe(Effect.provide(over({ a: slow }, options))))

  it.effect("one text is too long: only its client gets the error", () =>
    Effect.gen(function* () {
      yield* warm("/api/embed", embed("first"))
      const long = "word ".repeat(4000)
      const clients = yield* all(10, (i) => ["/api/embed", embed(i === 6 ? long : `text ${i}`, { truncate: false })])
      yield* TestClock.adjust("60 seconds")
      for (const [i, { fiber, reply }] of clients.entries()) {
        yield* Fiber.join(fiber)
        assert.strictEqual(reply.status, i === 6 ? 400 : 200, `${i}`)
      }
      assert.include(clients[6]!.reply.text, "exceeds the context length")
      assert.deepStrictEqual(yield* idle, nothing)
    }).pipe(Effect.provide(over({ a: slow }, options))))

  it.effect("with batches of one, each text has a call of its own", () =>
    Effect.gen(function* () {
      const { before } = yield* warm("/api/embed", embed("first"))
      const clients = yield* all(10, (i) => ["/api/embed", embed(`text ${i}`)])
      yield* TestClock.adjust("60 seconds")
      for (const { fiber } of clients) yield* Fiber.join(fiber)
      assert.strictEqual((yield* upstream("/api/embed")).length - before, 10)
    }).pipe(Effect.provide(over({ a: slow }, { ...options, coalescer: MemoryCoalescer.layer({ batchInputs: 1 }) }))))
})
