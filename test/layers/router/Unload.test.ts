/** Requests that only unload a model: `ollama stop`. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import * as PipelineRouter from "../../../src/layers/router/PipelineRouter.ts"
import { Fleet } from "../../../src/services/Fleet.ts"
import { ModelCatalog } from "../../../src/services/ModelCatalog.ts"
import { OllamaApi } from "../../../src/services/OllamaApi.ts"
import { Residency } from "../../../src/services/Residency.ts"
import { RouterEvents } from "../../../src/services/RouterEvents.ts"
import * as SimulatedFleet from "../../../src/simulated/SimulatedFleet.ts"
import { elapse } from "../../../src/testing/elapse.ts"
import { overManaged } from "../../support/managed.ts"
import { ask, idle, nothing, over, url } from "../../support/routers.ts"
import { RecordingReply } from "../../support/sinks.ts"

const { a100, Model } = SimulatedFleet
const model = Model.llama31.name
const embedder = Model.embedder.name
const server = (id: string) => Effect.map(SimulatedFleet.SimulatedFleet, ({ get }) => get(url(id)))

type From = NonNullable<Parameters<typeof ask>[4]>

const start = (path: string, body: object, from: From = {}) =>
  Effect.forkChild(ask(path, body, new RecordingReply(), [], from), { startImmediately: true })

const finish = (path: string, body: object, from: From = {}, millis = 20_000) =>
  Effect.gen(function* () {
    const fiber = yield* start(path, body, from)
    yield* elapse(millis)
    return yield* Fiber.join(fiber)
  })

const prompt = { model, prompt: "hi", stream: false, options: { num_predict: 2 } }
const stop = { model, keep_alive: 0 }

const zeros = [0, -0, "0", "0s", "-0s", "0m0s", "1ms", 0.001, 1e-3, "0.5s", "1ns", "-0.1ns", 1e-10]

const stacks = {
  "not managed": (decodeRate = 100) => over({ a: { ...a100, decodeRate } }),
  managed: (decodeRate = 100) => overManaged({ a: { ...a100, decodeRate } }),
}

for (const [kind, stack] of Object.entries(stacks)) {
  describe(`ollama stop, memory ${kind}`, () => {
    it.effect("unloads the client's own model, in each spelling of 0, and loads nothing", () =>
      Effect.gen(function* () {
        yield* elapse("2 seconds")
        const { counts } = yield* server("a")
        for (const keep_alive of zeros) {
          yield* finish("/api/generate", prompt)
          assert.lengthOf((yield* server("a")).resident, 1)
          const { loads } = counts
          const { reply, settled } = yield* finish("/api/generate", { model, keep_alive })
          assert.strictEqual(settled.status, 200, reply.text)
          assert.lengthOf((yield* server("a")).resident, 0, `${keep_alive}`)
          assert.strictEqual(counts.loads, loads, `${keep_alive}`)
          const { created_at, ...rest } = JSON.parse(reply.text)
          assert.isFalse(Number.isNaN(Date.parse(created_at)))
          assert.deepStrictEqual(rest, { model, response: "", done: true, done_reason: "unload" })
          assert.strictEqual(rest.done_reason, "unload")
        }
        const [event] = (yield* RouterEvents).recent(1)
        assert(event?._tag === "RequestSettled")
        assert.deepStrictEqual([event.settled.result, event.settled.outcome?.kind], ["answered", "success"])
        assert.deepStrictEqual(yield* idle, nothing)
      }).pipe(Effect.provide(stack())))

    it.effect("answers as Ollama does where the model is not in memory, on each path, and loads nothing", () =>
      Effect.gen(function* () {
        yield* elapse("2 seconds")
        const bodies: ReadonlyArray<readonly [string, object, object]> = [
          ["/api/generate", {}, { model, response: "", done: true, done_reason: "unload" }],
          ["/api/generate", { prompt: "", stream: true }, { model, response: "", done: true, done_reason: "unload" }],
          ["/api/chat", { messages: [] }, {
            model,
            message: { role: "assistant", content: "" },
            done: true,
            done_reason: "unload",
          }],
          ["/api/embed", { model: embedder }, { model: embedder, embeddings: [] }],
          ["/api/embed", { model: embedder, input: [] }, { model: embedder, embeddings: [] }],
          ["/api/embeddings", { model: embedder, prompt: "" }, { embedding: [] }],
        ]
        for (const [path, more, expected] of bodies) {
          const { reply, settled } = yield* finish(path, { ...stop, ...more }, {}, 1000)
          assert.strictEqual(settled.status, 200, reply.text)
          const { created_at: _, ...rest } = JSON.parse(reply.text)
          assert.deepStrictEqual(rest, expected, path)
        }
        assert.strictEqual((yield* server("a")).counts.loads, 0)
      }).pipe(Effect.provide(stack())))

    it.effect("unloads what was loaded past the router a moment ago, and an embedder", () =>
      Effect.gen(function* () {
        yield* elapse("5500 millis")
        const { counts } = yield* server("a")
        const { backend } = (yield* Fleet).members()[0]!
        yield* (yield* OllamaApi).load(backend, embedder, { embedder: true }).pipe(Effect.forkChild)
        yield* elapse("3 seconds")
        assert.lengthOf((yield* server("a")).resident, 1)
        const { settled } = yield* finish("/api/generate", { model: embedder, keep_alive: 0 }, {}, 2000)
        assert.strictEqual(settled.status, 200)
        assert.deepInclude(counts, { loads: 1, unloads: 1 })
        assert.lengthOf((yield* server("a")).resident, 0)
      }).pipe(Effect.provide(stack())))

    it.effect("is refused with 403 and the reason while another client needs the model", () =>
      Effect.gen(function* () {
        yield* elapse("2 seconds")
        yield* finish("/api/generate", prompt, { address: "10.0.0.1" })
        for (const keep_alive of zeros) {
          const { reply, settled } = yield* finish("/api/generate", { model, keep_alive }, { address: "10.0.0.2" }, 500)
          assert.strictEqual(settled.status, 403)
          assert.match(reply.refusals[0]!.message, /was not unloaded: another client used it \d+ s ago; ask again in /)
        }
        // The tenant counts where there is one: its address may change.
        yield* finish("/api/chat", { model, messages: [] }, { tenant: "b", address: "10.0.0.1" })
        const other = yield* finish("/api/chat", { ...stop, messages: [] }, { tenant: "c", address: "10.0.0.1" }, 500)
        assert.strictEqual(other.settled.status, 403)
        assert.lengthOf((yield* server("a")).resident, 1)
        yield* elapse("6 minutes", "1 second")
        const { settled } = yield* finish("/api/generate", stop, { address: "10.0.0.2" })
        assert.strictEqual(settled.status, 200)
        assert.lengthOf((yield* server("a")).resident, 0)
      }).pipe(Effect.provide(stack())))

    it.effect("waits for the client's own requests, and breaks none of them", () =>
      Effect.gen(function* () {
        yield* elapse("2 seconds")
        const chats = yield* Effect.forEach([1, 2], () =>
          start("/api/generate", { ...prompt, options: { num_predict: 100 } }))
        yield* elapse("8 seconds")
        const unload = yield* start("/api/generate", stop)
        yield* elapse("1 second")
        assert.isUndefined(unload.pollUnsafe())
        yield* elapse("100 seconds")
        for (const chat of chats) {
          assert.strictEqual((yield* Fiber.join(chat)).settled.status, 200)
        }
        const { reply, settled } = yield* Fiber.join(unload)
        assert.strictEqual(settled.status, 200, reply.refusals[0]?.message)
        const { counts, resident } = yield* server("a")
        assert.deepStrictEqual([counts.loads, resident.length], [1, 0])
        assert.deepStrictEqual(yield* idle, nothing)
      }).pipe(Effect.provide(stack(2))))

    it.effect("is refused while another client's request is in, or waits for a load", () =>
      Effect.gen(function* () {
        yield* elapse("2 seconds")
        const chat = yield* start("/api/generate", { ...prompt, options: { num_predict: 200 } }, { tenant: "b" })
        yield* elapse("100 millis", "10 millis")
        assert.isDefined((yield* server("a")).loading)
        const early = yield* finish("/api/generate", stop, { tenant: "a" }, 100)
        assert.match(early.reply.refusals[0]!.message, /another client uses it or waits for it/)
        yield* elapse("6 seconds")
        const later = yield* finish("/api/generate", stop, { tenant: "a" }, 100)
        assert.strictEqual(later.settled.status, 403)
        yield* elapse("60 seconds")
        assert.strictEqual((yield* Fiber.join(chat)).settled.status, 200)
        assert.lengthOf((yield* server("a")).resident, 1)
      }).pipe(Effect.provide(stack(4))))

    it.effect("is refused where a plan keeps the model in memory", () =>
      Effect.gen(function* () {
        yield* elapse("2 seconds")
        yield* finish("/api/generate", prompt)
        const pin = (yield* Residency).pin("a", yield* (yield* ModelCatalog).find(model))
        const { reply, settled } = yield* finish("/api/generate", stop, {}, 500)
        assert.strictEqual(settled.status, 403)
        assert.include(reply.refusals[0]!.message, "this server keeps it in memory")
        const chat = yield* finish("/api/generate", { ...prompt, keep_alive: 0 })
        assert.include(chat.reply.annotations.join(), "keep_alive")
        assert.lengthOf((yield* server("a")).resident, 1)
        pin.release()
        assert.strictEqual((yield* finish("/api/generate", stop)).settled.status, 200)
        assert.lengthOf((yield* server("a")).resident, 0)
      }).pipe(Effect.provide(stack())))
  })
}

describe("ollama stop", () => {
  it.effect("unloads the model from every backend that has it in memory", () =>
    Effect.gen(function* () {
      yield* elapse("2 seconds")
      const api = yield* OllamaApi
      for (const { backend } of (yield* Fleet).members()) {
        yield* Effect.forkChild(api.load(backend, model, { embedder: false }), { startImmediately: true })
      }
      yield* elapse("10 seconds")
      const all = yield* Effect.forEach(["a", "b", "c"], server)
      assert.deepStrictEqual(all.map(({ resident }) => resident.length), [1, 1, 1])
      const { settled } = yield* finish("/api/generate", stop)
      assert.strictEqual(settled.status, 200)
      assert.deepStrictEqual(all.map(({ resident }) => resident.length), [0, 0, 0])
    }).pipe(Effect.provide(over({ a: a100, b: a100, c: a100 }))))

  it.effect("says after the client's time that its own requests still use the model", () =>
    Effect.gen(function* () {
      yield* elapse("2 seconds")
      const chat = yield* start("/api/generate", { ...prompt, options: { num_predict: 100_000 } })
      yield* elapse("10 seconds")
      const { reply, settled } = yield* finish("/api/generate", stop, { queueMillis: 4000 }, 5_000)
      assert.strictEqual(settled.status, 403)
      assert.include(reply.refusals[0]!.message, "requests of yours still use it")
      yield* Fiber.interrupt(chat)
      assert.deepStrictEqual(yield* idle, nothing)
    }).pipe(Effect.provide(over({ a: { ...a100, decodeRate: 1 } }))))

  it.effect("beyond 256 that wait is refused with 503, and one that need not wait is not", () =>
    Effect.gen(function* () {
      yield* elapse("2 seconds")
      const chat = yield* start("/api/generate", { ...prompt, options: { num_predict: 1000 } })
      yield* elapse("8 seconds")
      const waiting = yield* Effect.forEach(Array.from({ length: 256 }), () => start("/api/generate", stop))
      const more = yield* finish("/api/generate", stop, {}, 100)
      assert.strictEqual(more.settled.status, 503)
      assert.include(more.reply.refusals[0]!.message, "too many unloads are waiting")
      assert.strictEqual((yield* finish("/api/generate", { ...stop, model: embedder }, {}, 100)).settled.status, 200)
      yield* Fiber.interrupt(waiting[0]!)
      const instead = yield* start("/api/generate", stop)
      yield* elapse("100 millis")
      assert.isUndefined(instead.pollUnsafe())
      yield* Fiber.interrupt(chat)
      yield* elapse("20 seconds")
      for (const one of [...waiting.slice(1), instead]) assert.strictEqual((yield* Fiber.join(one)).settled.status, 200)
      assert.deepStrictEqual(yield* idle, nothing)
    }).pipe(Effect.provide(over({ a: { ...a100, decodeRate: 2 } }))))

  it.effect("a client that leaves while it waits leaves nothing behind", () =>
    Effect.gen(function* () {
      yield* elapse("2 seconds")
      const chat = yield* start("/api/generate", { ...prompt, options: { num_predict: 1000 } })
      yield* elapse("8 seconds")
      const unload = yield* start("/api/generate", stop)
      yield* elapse("10 millis", "10 millis")
      yield* Fiber.interrupt(unload)
      yield* elapse("60 seconds")
      assert.strictEqual((yield* Fiber.join(chat)).settled.status, 200)
      assert.lengthOf((yield* server("a")).resident, 1)
      assert.deepStrictEqual(yield* idle, nothing)
    }).pipe(Effect.provide(over({ a: { ...a100, decodeRate: 2 } }))))

  it.effect("counts a client whose answer was another client's call", () =>
    Effect.gen(function* () {
      yield* elapse("2 seconds")
      const same = { ...prompt, options: { num_predict: 2, temperature: 0 } }
      const chats = yield* Effect.forEach(["1", "2"], (last) =>
        start("/api/generate", same, { address: `10.0.0.${last}` }))
      yield* elapse("20 seconds")
      const how: Array<unknown> = []
      for (const chat of chats) {
        how.push((yield* Fiber.join(chat)).settled.coalesced)
      }
      assert.includeMembers(how, ["identical"])
      for (const last of ["1", "2"]) {
        const { settled } = yield* finish("/api/generate", stop, { address: `10.0.0.${last}` }, 500)
        assert.strictEqual(settled.status, 403, last)
      }
    }).pipe(Effect.provide(over({ a: a100 }))))

  it.effect("two at one time both get their answer", () =>
    Effect.gen(function* () {
      yield* elapse("2 seconds")
      yield* finish("/api/generate", prompt)
      const both = yield* Effect.forEach([1, 2], () => start("/api/generate", stop))
      yield* elapse("5 seconds")
      for (const one of both) assert.strictEqual((yield* Fiber.join(one)).settled.status, 200)
      assert.lengthOf((yield* server("a")).resident, 0)
    }).pipe(Effect.provide(over({ a: a100 }))))

  it.effect("does not ask who else uses the model where the deployer passes options through", () =>
    Effect.gen(function* () {
      yield* elapse("2 seconds")
      yield* finish("/api/generate", prompt, { tenant: "b" })
      assert.strictEqual((yield* finish("/api/generate", stop, { tenant: "a" })).settled.status, 200)
      assert.lengthOf((yield* server("a")).resident, 0)
    }).pipe(
      Effect.provide(over({ a: a100 }, { router: PipelineRouter.layer({ clientOptions: { passThrough: true } }) })),
    ))

  it.effect("of a model that nobody has is answered with 404", () =>
    Effect.gen(function* () {
      const { settled } = yield* finish("/api/generate", { model: "nobody-has-it", keep_alive: 0 })
      assert.strictEqual(settled.status, 404)
    }).pipe(Effect.provide(over({ a: a100 }))))
})
