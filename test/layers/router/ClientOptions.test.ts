/** How the router treats `num_ctx`, `keep_alive` and the options of runners. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import * as PipelineRouter from "../../../src/layers/router/PipelineRouter.ts"
import { RouterEvents } from "../../../src/services/RouterEvents.ts"
import * as SimulatedFleet from "../../../src/simulated/SimulatedFleet.ts"
import { elapse } from "../../../src/testing/elapse.ts"
import { ask as direct, layer as one, server as only } from "../../simulated/support.ts"
import { overManaged } from "../../support/managed.ts"
import { ask, over, url } from "../../support/routers.ts"
import { RecordingReply } from "../../support/sinks.ts"

const { a100, Model } = SimulatedFleet
const name = Model.llama31.name
const server = (id: string) => Effect.map(SimulatedFleet.SimulatedFleet, ({ get }) => get(url(id)))

const finish = <A, E, R>(effect: Effect.Effect<A, E, R>, millis = 20_000) =>
  Effect.gen(function* () {
    const fiber = yield* Effect.forkChild(effect, { startImmediately: true })
    yield* elapse(millis)
    return yield* Fiber.join(fiber)
  })

const generate = (more: object, options: object = {}, reply = new RecordingReply(), from: { tenant?: string } = {}) =>
  ask(
    "/api/generate",
    { model: name, prompt: "hi", stream: false, ...more, options: { num_predict: 2, ...options } },
    reply,
    [],
    from,
  )

const contexts = [1024, 2048, 512, 4096]
const swaps = (clientOptions: PipelineRouter.Options["clientOptions"]) => ({
  router: PipelineRouter.layer({ clientOptions }),
})

describe("num_ctx", () => {
  it.effect("clients that alternate cause a reload for each request without the router", () =>
    Effect.gen(function* () {
      for (let i = 0; i < 20; i++) {
        yield* direct(name, 2, {}, { num_ctx: contexts[i % 4]! })
        yield* elapse("20 seconds")
      }
      const { counts } = yield* only
      assert.deepInclude(counts, { loads: 20, reloads: 19 })
    }).pipe(Effect.provide(one(a100))))

  for (const [kind, stack] of [["not managed", over({ a: a100 })], ["managed", overManaged({ a: a100 })]] as const) {
    it.effect(`clients that alternate cause no reload through the router, memory ${kind}`, () =>
      Effect.gen(function* () {
        yield* elapse("2 seconds")
        for (let i = 0; i < 20; i++) {
          const { reply, settled } = yield* finish(generate({}, { num_ctx: contexts[i % 4]! }))
          assert.strictEqual(settled.status, 200, reply.text)
          assert.include(reply.annotations.join(), "x-llamero-rewrote,num_ctx")
        }
        const { counts, resident } = yield* server("a")
        assert.deepInclude(counts, { loads: 1, reloads: 0 })
        assert.strictEqual(resident[0]?.context, 8192, "never less than was asked for")
        const [event] = (yield* RouterEvents).recent(1)
        assert(event?._tag === "RequestSettled")
        assert.deepStrictEqual(event.rewrote, ["num_ctx"])
      }).pipe(Effect.provide(stack)))
  }

  it.effect("above the automatic context is refused when there is no tier for it", () =>
    Effect.gen(function* () {
      yield* elapse("2 seconds")
      const { settled } = yield* finish(generate({}, { num_ctx: 16_384 }))
      assert.strictEqual(settled.status, 400)
      assert.match(settled.refusal!.message, /num_ctx 16384 .* 8192 tokens/)
      assert.deepInclude((yield* server("a")).counts, { loads: 0 })
    }).pipe(Effect.provide(overManaged({ a: a100 }))))

  it.effect("is checked after the load when the automatic context is not known before", () =>
    Effect.gen(function* () {
      yield* elapse("2 seconds")
      const { settled } = yield* finish(generate({}, { num_ctx: 16_384 }))
      assert.strictEqual(settled.status, 400)
      assert.deepInclude((yield* server("a")).counts, { loads: 1, reloads: 0 })
    }).pipe(Effect.provide(over({ a: a100 }))))

  it.effect("above the automatic context goes to a tier on another backend, to which /v1 does not go", () =>
    Effect.gen(function* () {
      yield* elapse("2 seconds")
      yield* finish(generate({}))
      const { reply, settled } = yield* finish(generate({}, { num_ctx: 12_000 }))
      assert.strictEqual(settled.status, 200, reply.text)
      assert.strictEqual(settled.backend, "b")
      const [a, b] = [yield* server("a"), yield* server("b")]
      assert.deepStrictEqual([a.resident[0]?.context, b.resident[0]?.context], [8192, 16_384])
      for (let i = 0; i < 4; i++) {
        const chat = { model: name, max_tokens: 2, messages: [{ role: "user", content: "hi" }] }
        assert.strictEqual((yield* finish(ask("/v1/chat/completions", chat))).settled.backend, "a")
        assert.strictEqual((yield* finish(generate({}, { num_ctx: 16_000 }))).settled.backend, "b")
        assert.strictEqual((yield* finish(generate({}, { num_ctx: 1000 }))).settled.status, 200)
      }
      assert.deepStrictEqual([a.counts.loads, b.counts.loads, a.counts.reloads, b.counts.reloads], [1, 1, 0, 0])
      const far = yield* finish(generate({}, { num_ctx: 40_000 }))
      assert.match(far.settled.refusal!.message, /32768 tokens/)
    }).pipe(Effect.provide(overManaged({ a: a100, b: a100 }, swaps({ contextTiers: [32_768, 16_384] })))))

  it.effect("as the client sent it where the deployer wants that", () =>
    Effect.gen(function* () {
      yield* elapse("2 seconds")
      for (let i = 0; i < 3; i++) yield* finish(generate({}, { num_ctx: contexts[i]! }))
      assert.deepInclude((yield* server("a")).counts, { reloads: 3 })
    }).pipe(Effect.provide(over({ a: a100 }, swaps({ passThrough: true })))))
})

describe("other options that load a model again", () => {
  it.effect("clients that alternate num_thread cause a reload for each request without the router", () =>
    Effect.gen(function* () {
      for (let i = 0; i < 20; i++) {
        yield* direct(name, 2, {}, { num_thread: 1 + i % 2 })
        yield* elapse("20 seconds")
      }
      assert.deepInclude((yield* only).counts, { loads: 20, reloads: 19 })
    }).pipe(Effect.provide(one(a100))))

  for (const [kind, stack] of [["not managed", over({ a: a100 })], ["managed", overManaged({ a: a100 })]] as const) {
    it.effect(`clients that alternate cause no reload through the router, memory ${kind}`, () =>
      Effect.gen(function* () {
        yield* elapse("2 seconds")
        for (let i = 0; i < 20; i++) {
          const { reply, settled } = yield* finish(generate({}, { num_thread: 1 + i % 2 }))
          assert.strictEqual(settled.status, 200, reply.text)
          assert.include(reply.annotations.join(), "x-llamero-rewrote,num_thread")
        }
        assert.deepInclude((yield* server("a")).counts, { loads: 1, reloads: 0 })
        const [event] = (yield* RouterEvents).recent(1)
        assert(event?._tag === "RequestSettled")
        assert.deepStrictEqual(event.rewrote, ["num_thread"])
      }).pipe(Effect.provide(stack)))
  }

  const others = { num_gpu: 3, num_batch: 64, main_gpu: 1, use_mmap: false, num_ctx: 1000, draft_num_predict: 4 }

  it.effect("are each removed, alone and together, and no other option is", () =>
    Effect.gen(function* () {
      yield* elapse("2 seconds")
      for (const [key, value] of Object.entries(others)) {
        const { reply } = yield* finish(generate({}, { [key]: value }))
        assert.deepStrictEqual(reply.annotations, ["x-llamero-rewrote", key])
      }
      const { reply } = yield* finish(generate({ shift: false }, { ...others, top_k: 3 }))
      const rewrote = reply.annotations[1]?.split(",").sort()
      assert.deepStrictEqual(rewrote, [...Object.keys(others), "shift"].sort())
      const { reply: untouched } = yield* finish(generate({ shift: null }, { top_k: 3, seed: 1, num_gpu: null }))
      assert.deepStrictEqual(untouched.annotations, [])
      assert.deepInclude((yield* server("a")).counts, { loads: 1, reloads: 0 })
    }).pipe(Effect.provide(over({ a: a100 }))))

  it.effect("as the client sent it where the deployer wants that", () =>
    Effect.gen(function* () {
      yield* elapse("2 seconds")
      for (let i = 0; i < 4; i++) {
        const { reply } = yield* finish(generate({}, { num_thread: 1 + i % 2, num_ctx: 1000 }))
        assert.deepStrictEqual(reply.annotations, ["x-llamero-rewrote", "num_ctx"])
      }
      assert.deepInclude((yield* server("a")).counts, { reloads: 4 })
    }).pipe(Effect.provide(over({ a: a100 }, swaps({ passRunnerOptions: true })))))
})

describe("keep_alive", () => {
  const short = [0, -0, "0", "0s", "-0s", "0m0s", "1ms", 0.001, 1e-3, "0.5s", "1ns", "-0.1ns", 1e-10, "2s", "4m", 1e10]
  for (const [kind, stack] of [["not managed", over({ a: a100 })], ["managed", overManaged({ a: a100 })]] as const) {
    it.effect(`that is shorter than another client needs the model is removed, memory ${kind}`, () =>
      Effect.gen(function* () {
        yield* elapse("2 seconds")
        yield* finish(generate({}, {}, undefined, { tenant: "b" }))
        for (const keep_alive of short) {
          const { reply, settled } = yield* finish(generate({ keep_alive }, {}, undefined, { tenant: "a" }), 1000)
          assert.strictEqual(settled.status, 200, reply.text)
          assert.include(reply.annotations.join(), "x-llamero-rewrote,keep_alive", `${keep_alive}`)
          assert.isAbove((yield* server("a")).resident[0]?.keepAlive ?? 0, 299, `${keep_alive}`)
        }
      }).pipe(Effect.provide(stack)))

    it.effect(`that unloads the client's own model stays as it is, memory ${kind}`, () =>
      Effect.gen(function* () {
        yield* elapse("2 seconds")
        for (const keep_alive of [0, "0m0s", "1ms", 0.001]) {
          yield* finish(generate({}))
          const { reply } = yield* finish(generate({ keep_alive }))
          assert.deepStrictEqual(reply.annotations, [], `${keep_alive}`)
          assert.lengthOf((yield* server("a")).resident, 0, `${keep_alive}`)
        }
      }).pipe(Effect.provide(stack)))
  }

  it.effect("that outlasts the need of other clients stays, and so does a short one once that is over", () =>
    Effect.gen(function* () {
      yield* elapse("2 seconds")
      yield* finish(generate({}, {}, undefined, { tenant: "b" }), 10_000)
      for (const keep_alive of ["5m", "10m", -1, "-0.5s", 300]) {
        const { reply } = yield* finish(generate({ keep_alive }, {}, undefined, { tenant: "a" }), 1000)
        assert.deepStrictEqual(reply.annotations, [], `${keep_alive}`)
      }
      yield* elapse("6 minutes", "1 second")
      const { reply } = yield* finish(generate({ keep_alive: "1s" }, {}, undefined, { tenant: "a" }))
      assert.deepStrictEqual(reply.annotations, [])
    }).pipe(Effect.provide(over({ a: a100 }))))

  it.effect("that unloads is removed while a request of another client waits for the model", () =>
    Effect.gen(function* () {
      yield* elapse("2 seconds")
      yield* finish(generate({ keep_alive: 0 }))
      const mine = yield* Effect.forkChild(
        generate({ keep_alive: 0 }, { num_predict: 400 }, undefined, { tenant: "a" }),
        {
          startImmediately: true,
        },
      )
      const theirs = yield* Effect.forkChild(generate({}, {}, undefined, { tenant: "b" }), { startImmediately: true })
      yield* elapse(60_000)
      assert.include((yield* Fiber.join(mine)).reply.annotations.join(), "keep_alive")
      yield* Fiber.join(theirs)
      assert.strictEqual((yield* server("a")).counts.loads, 2)
    }).pipe(Effect.provide(over({ a: a100 }))))

  it.effect("0 unloads a model that no other request uses", () =>
    Effect.gen(function* () {
      yield* elapse("2 seconds")
      const { reply } = yield* finish(generate({ keep_alive: 0 }))
      assert.deepStrictEqual(reply.annotations, [])
      assert.lengthOf((yield* server("a")).resident, 0)
    }).pipe(Effect.provide(over({ a: a100 }))))

  it.effect("is the router's where memory is managed", () =>
    Effect.gen(function* () {
      yield* elapse("2 seconds")
      const { reply } = yield* finish(generate({ keep_alive: "1m" }))
      assert.include(reply.annotations.join(), "keep_alive")
      assert.strictEqual((yield* server("a")).resident[0]?.keepAlive, Infinity)
      const broken = yield* finish(generate({ keep_alive: "soon" }))
      assert.strictEqual(broken.settled.status, 400, "Ollama's to refuse")
    }).pipe(Effect.provide(overManaged({ a: a100 }))))
})

describe("a client that leaves 50 ms into a cold load", () => {
  for (const [kind, stack] of [["not managed", over({ a: a100 })], ["managed", overManaged({ a: a100 })]] as const) {
    it.effect(`does not end it, memory ${kind}`, () =>
      Effect.gen(function* () {
        yield* elapse("2 seconds")
        const first = yield* Effect.forkChild(generate({}), { startImmediately: true })
        yield* elapse("50 millis", "10 millis")
        assert.isDefined((yield* server("a")).loading)
        yield* Fiber.interrupt(first)
        const { settled } = yield* finish(generate({}))
        assert.strictEqual(settled.status, 200)
        assert.deepInclude((yield* server("a")).counts, { loads: 1, loadsKilled: 0 })
      }).pipe(Effect.provide(stack)))
  }
})
