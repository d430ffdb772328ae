import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Layer } from "effect"
import { TestClock } from "effect/testing"
import * as BoundedAdmission from "../../../src/layers/admission/BoundedAdmission.ts"
import * as PipelineRouter from "../../../src/layers/router/PipelineRouter.ts"
import * as StandardProfile from "../../../src/plugins/StandardProfile.ts"
import { BackendHealth } from "../../../src/services/BackendHealth.ts"
import { Breaker } from "../../../src/services/Breaker.ts"
import { ModelCatalog } from "../../../src/services/ModelCatalog.ts"
import type { Guard, Scorer } from "../../../src/services/Plugin.ts"
import { refuse } from "../../../src/services/Refusal.ts"
import { Residency } from "../../../src/services/Residency.ts"
import { Router } from "../../../src/services/Router.ts"
import { RouterEvents } from "../../../src/services/RouterEvents.ts"
import * as SimulatedFleet from "../../../src/simulated/SimulatedFleet.ts"
import { ask, idle, nothing, over, url } from "../../support/routers.ts"
import { RecordingReply } from "../../support/sinks.ts"

const { Fault } = SimulatedFleet
const chat = { model: "tiny-eos", messages: [{ role: "user", content: "hi" }] }
const server = (id: string) => Effect.map(SimulatedFleet.SimulatedFleet, (fleet) => fleet.get(url(id)))
/** Lets the first probes and readings run. */
const ready = TestClock.adjust("1 second")
/** Runs a call to its end while the clock moves. */
const finish = <A, E, R>(effect: Effect.Effect<A, E, R>, time: Parameters<typeof TestClock.adjust>[0] = "10 seconds") =>
  Effect.gen(function* () {
    const fiber = yield* Effect.forkChild(effect, { startImmediately: true })
    yield* TestClock.adjust(time)
    return yield* Fiber.join(fiber)
  })
const inference = (id: string) =>
  Effect.map(server(id), ({ calls }) => calls.filter((call) => call.path === "/api/chat").length)

describe("PipelineRouter over the standard stack and a simulated fleet", () => {
  it.effect("routes a streamed chat: loads the model first, passes the bytes on, settles once", () =>
    Effect.gen(function* () {
      yield* ready
      const { reply, settled } = yield* finish(ask("/api/chat", chat))
      assert.strictEqual(settled.result, "answered")
      assert.strictEqual(reply.status, 200)
      assert.include(reply.text, `"done":true`)
      assert.strictEqual(reply.ended, 1)
      const events = (yield* RouterEvents).recent(100)
      assert.lengthOf(events.filter((event) => event._tag === "RequestSettled"), 1)
      assert.lengthOf(events.filter((event) => event._tag === "LoadEnded"), 1)
      assert.deepStrictEqual(yield* idle, nothing)
    }).pipe(Effect.provide(over({ a: {} }))))

  it.effect("spreads requests over three backends once all hold the model", () =>
    Effect.gen(function* () {
      yield* ready
      const residency = yield* Residency
      for (const id of ["a", "b", "c"]) {
        yield* finish(ask("/api/chat", chat))
        assert.isAtLeast(residency.list(id).length, 0)
      }
      const fibers = yield* Effect.forEach(
        Array.from({ length: 12 }),
        () => Effect.forkChild(ask("/api/chat", chat), { startImmediately: true }),
      )
      yield* TestClock.adjust("2 minutes")
      yield* Effect.forEach(fibers, Fiber.join)
      for (const id of ["a", "b", "c"]) assert.isAbove(yield* inference(id), 0, id)
    }).pipe(Effect.provide(over({ a: { decodeRate: 10 }, b: { decodeRate: 10 }, c: { decodeRate: 10 } }))))

  it.effect("answers 404 for a model that no backend has, without asking a backend", () =>
    Effect.gen(function* () {
      yield* ready
      const { reply, settled } = yield* finish(ask("/api/chat", { ...chat, model: "nope" }))
      assert.strictEqual(settled.status, 404)
      assert.strictEqual(reply.refusals[0]!.message, "model 'nope' not found")
      assert.strictEqual(yield* inference("a"), 0)
    }).pipe(Effect.provide(over({ a: {} }))))

  it.effect("answers a text that is no name with 400 in Ollama's words, without asking a backend", () =>
    Effect.gen(function* () {
      yield* ready
      const { length } = (yield* server("a")).calls
      for (const model of ["m:", "a b", "../x", "a/b/c/d", "https://m", "x:-cloud", "m".repeat(81)]) {
        for (const path of ["/api/chat", "/api/generate", "/api/embed", "/v1/chat/completions", "/v1/messages"]) {
          const { reply, settled } = yield* ask(path, { ...chat, model, max_tokens: 1 })
          assert.deepStrictEqual([settled.status, reply.refusals[0]!.message], [400, "invalid model name"], model)
        }
      }
      const { reply } = yield* ask("/api/chat", { ...chat, model: "tiny-eos:local:local" })
      assert.strictEqual(reply.refusals[0]!.message, `use either :local or :cloud, not both: "tiny-eos:local:local"`)
      assert.lengthOf((yield* server("a")).calls, length)
    }).pipe(Effect.provide(over({ a: {} }))))

  it.effect("answers a model of ollama.com that no backend lists with 403, and one that is only missing with 404", () =>
    Effect.gen(function* () {
      yield* ready
      for (const model of ["x:cloud", "gpt-oss:120b-cloud", "X:CLOUD", "me/x:cloud"]) {
        const { reply, settled } = yield* finish(ask("/api/chat", { ...chat, model }))
        assert.strictEqual(settled.status, 403, model)
        assert.strictEqual(reply.refusals[0]!.message, "ollama cloud is disabled: remote model is unavailable")
      }
      for (const model of ["x-cloud", "cloud", "x:local", "cloud/x"]) {
        assert.strictEqual((yield* finish(ask("/api/chat", { ...chat, model }))).settled.status, 404, model)
      }
      assert.strictEqual(yield* inference("a"), 0)
    }).pipe(Effect.provide(over({ a: {} }))))

  it.effect("answers a blank name as each path of Ollama does", () =>
    Effect.gen(function* () {
      for (const [path, status] of [["/api/chat", 400], ["/api/embeddings", 400], ["/api/embed", 404]] as const) {
        const { settled } = yield* ask(path, { ...chat, model: " " })
        assert.strictEqual(settled.status, status, path)
      }
    }).pipe(Effect.provide(over({ a: {} }))))

  it.effect("answers a chat without a model with 400, in Ollama's words", () =>
    Effect.gen(function* () {
      yield* ready
      const { reply } = yield* ask("/api/chat", {})
      assert.strictEqual(reply.refusals[0]!.status, 400)
      assert.strictEqual(reply.refusals[0]!.message, "model is required")
    }).pipe(Effect.provide(over({ a: {} }))))

  for (
    const [name, fault] of [
      ["refused", Fault.refuse],
      ["reset before the head", Fault.reset()],
      ["429", Fault.tooMany],
      ["503 busy", Fault.busy],
    ] as const
  ) {
    it.effect(`${name}: goes to the other backend, and the client sees one whole answer`, () =>
      Effect.gen(function* () {
        yield* ready
        yield* finish(ask("/api/chat", chat))
        const warm = (yield* inference("a")) > 0 ? "a" : "b"
        ;(yield* server(warm)).faults.set(fault, { path: "/api/chat" })
        const { reply, settled } = yield* finish(ask("/api/chat", chat))
        assert.strictEqual(reply.status, 200)
        assert.strictEqual(settled.attempts, 2)
        assert.notStrictEqual(settled.backend, warm)
        assert.strictEqual(reply.endings, 1)
        assert.deepStrictEqual(yield* idle, nothing)
      }).pipe(Effect.provide(over({ a: {}, b: {} }))))
  }

  it.effect("a backend that has lost the model: another owner answers, and the first is not asked again", () =>
    Effect.gen(function* () {
      yield* ready
      yield* finish(ask("/api/chat", chat))
      const lost = (yield* inference("a")) > 0 ? "a" : "b"
      ;(yield* server(lost)).faults.set(Fault.failure(404, "model 'tiny-eos' not found"), { path: "/api/chat" })
      const { reply, settled } = yield* finish(ask("/api/chat", chat))
      assert.strictEqual(reply.status, 200)
      assert.strictEqual(settled.attempts, 2)
      const again = yield* finish(ask("/api/chat", chat), "5 seconds")
      assert.strictEqual(again.settled.attempts, 1)
      assert.strictEqual(yield* inference(lost), 2)
      assert.strictEqual((yield* Breaker).state(lost), "closed")
    }).pipe(Effect.provide(over({ a: {}, b: {} }))))

  it.effect("answers 404 in the backend's words when the only owner has lost the model", () =>
    Effect.gen(function* () {
      yield* ready
      yield* finish(ask("/api/chat", chat))
      ;(yield* server("a")).faults.set(Fault.failure(404, "model 'tiny-eos' not found"), { path: "/api/chat" })
      const { reply, settled } = yield* finish(ask("/api/chat", chat))
      assert.strictEqual(settled.status, 404)
      assert.strictEqual(reply.text, `{"error":"model 'tiny-eos' not found"}`)
    }).pipe(Effect.provide(over({ a: {} }))))

  for (
    const text of [
      "image not found",
      `tool "tiny-eos" not found`,
      "previous_response not found",
      "model 'other' not found",
      "model 'tiny-eos' not found: blob not found",
    ]
  ) {
    it.effect(`a 404 that does not say that the model is missing is the answer: ${text}`, () =>
      Effect.gen(function* () {
        yield* ready
        yield* finish(ask("/api/chat", chat))
        const { loads } = (yield* server("a")).counts
        ;(yield* server("a")).faults.set(Fault.failure(404, text), { path: "/api/chat", times: 1 })
        const { reply, settled } = yield* finish(ask("/api/chat", chat))
        assert.deepStrictEqual([settled.status, settled.attempts], [404, 1])
        assert.deepStrictEqual(JSON.parse(reply.text), { error: text })
        const model = (yield* ModelCatalog).peek("tiny-eos")
        assert.isTrue(model?.owners.has("a"))
        assert.strictEqual((yield* Residency).state("a", model!), "resident")
        assert.strictEqual((yield* finish(ask("/api/chat", chat))).settled.status, 200)
        assert.strictEqual((yield* server("a")).counts.loads, loads)
      }).pipe(Effect.provide(over({ a: {} }))))
  }

  it.effect("an idle backend with the model in memory that stays silent: the other one answers", () =>
    Effect.gen(function* () {
      yield* ready
      yield* finish(ask("/api/chat", chat))
      const warm = (yield* inference("a")) > 0 ? "a" : "b"
      ;(yield* server(warm)).faults.set(Fault.hang, { path: "/api/chat" })
      const { reply, settled } = yield* finish(ask("/api/chat", chat), "140 seconds")
      assert.strictEqual(reply.status, 200)
      assert.strictEqual(settled.attempts, 2)
      assert.notStrictEqual(settled.backend, warm)
    }).pipe(Effect.provide(over({ a: {}, b: {} }))))

  it.effect("a busy backend that stays silent may only be slow: no other is asked", () =>
    Effect.gen(function* () {
      yield* ready
      yield* finish(ask("/api/chat", chat))
      for (const id of ["a", "b"]) (yield* server(id)).faults.set(Fault.hang, { path: "/api/chat" })
      const fibers = yield* Effect.forEach(
        ["a", "a"],
        () => Effect.forkChild(ask("/api/chat", chat), { startImmediately: true }),
      )
      // The later request still waits when the first one fails.
      yield* TestClock.adjust("1 minute")
      const later = yield* Effect.forEach(
        ["a", "a"],
        () => Effect.forkChild(ask("/api/chat", chat), { startImmediately: true }),
      )
      yield* TestClock.adjust("61 seconds")
      for (const fiber of fibers) {
        const { reply, settled } = yield* Fiber.join(fiber)
        assert.strictEqual(settled.attempts, 1)
        assert.strictEqual(reply.refusals[0]!.status, 504)
      }
      yield* Effect.forEach(later, Fiber.interrupt)
      assert.deepStrictEqual(yield* idle, nothing)
    }).pipe(Effect.provide(over({ a: { parallelism: 4 }, b: {} }, undefined, { parallelism: 4 }))))

  it.effect("a 500 is passed on as it is, and not tried elsewhere", () =>
    Effect.gen(function* () {
      yield* ready
      yield* finish(ask("/api/chat", chat))
      for (const id of ["a", "b"]) (yield* server(id)).faults.set(Fault.internal, { path: "/api/chat" })
      const { reply, settled } = yield* finish(ask("/api/chat", chat))
      assert.strictEqual(reply.status, 500)
      assert.strictEqual(settled.attempts, 1)
    }).pipe(Effect.provide(over({ a: {}, b: {} }))))

  it.effect("without another backend, Ollama's own busy answer is passed on with a Retry-After", () =>
    Effect.gen(function* () {
      yield* ready
      yield* finish(ask("/api/chat", chat))
      ;(yield* server("a")).faults.set(Fault.busy, { path: "/api/chat" })
      const { reply } = yield* finish(ask("/api/chat", chat))
      assert.strictEqual(reply.status, 503)
      assert.include(reply.text, "server busy, please try again.  maximum pending requests exceeded")
      assert.deepStrictEqual(reply.annotations, ["Retry-After", "1"])
    }).pipe(Effect.provide(over({ a: {} }))))

  it.effect("without another backend, a refused connection is 502", () =>
    Effect.gen(function* () {
      yield* ready
      yield* finish(ask("/api/chat", chat))
      ;(yield* server("a")).faults.set(Fault.refuse, { path: "/api/chat" })
      const { reply, settled } = yield* finish(ask("/api/chat", chat))
      assert.strictEqual(reply.refusals[0]!.status, 502)
      assert.strictEqual(settled.result, "refused")
    }).pipe(Effect.provide(over({ a: {} }))))

  it.effect("a client that leaves in the middle stops the generation, and nothing stays held", () =>
    Effect.gen(function* () {
      yield* ready
      yield* finish(ask("/api/chat", chat))
      const fiber = yield* Effect.forkChild(ask("/api/chat", { ...chat, model: "tiny-loop" }), {
        startImmediately: true,
      })
      yield* TestClock.adjust("3 seconds")
      yield* Fiber.interrupt(fiber)
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(yield* idle, nothing)
      assert.deepStrictEqual((yield* server("a")).resident.map((one) => one.refs), [0, 0])
      const [last] = (yield* RouterEvents).recent(1)
      assert(last?._tag === "RequestSettled")
      assert.strictEqual(last.settled.status, 499)
    }).pipe(Effect.provide(over({ a: { decodeRate: 50 } }))))

  it.effect("a client that leaves during a load does not end it: the next one gets the model at once", () =>
    Effect.gen(function* () {
      yield* ready
      const fiber = yield* Effect.forkChild(ask("/api/chat", chat), { startImmediately: true })
      yield* TestClock.adjust("1 second")
      yield* Fiber.interrupt(fiber)
      yield* TestClock.adjust("5 seconds")
      const { reply } = yield* finish(ask("/api/chat", chat), "1 second")
      assert.strictEqual(reply.status, 200)
      const loads = (yield* server("a")).calls.filter((call) => call.path === "/api/generate")
      assert.lengthOf(loads, 1)
    }).pipe(Effect.provide(over({ a: { loadTime: "4 seconds" } }))))

  it.effect("a load that fails is reported in Ollama's words", () =>
    Effect.gen(function* () {
      yield* ready
      ;(yield* server("a")).faults.set(Fault.failure(500, "cudaMalloc failed: out of memory"), {
        path: "/api/generate",
      })
      const { reply } = yield* finish(ask("/api/chat", chat))
      assert.strictEqual(reply.refusals[0]!.status, 500)
      assert.include(reply.refusals[0]!.message, "out of memory")
    }).pipe(Effect.provide(over({ a: {} }))))

  it.effect("an unload is passed on, loads nothing, and residency knows of it at once", () =>
    Effect.gen(function* () {
      yield* ready
      yield* finish(ask("/api/chat", chat))
      const residency = yield* Residency
      assert.lengthOf(residency.list("a"), 1)
      const { reply } = yield* finish(ask("/api/generate", { model: "tiny-eos", keep_alive: 0 }), 0)
      assert.include(reply.text, `"done_reason":"unload"`)
      assert.lengthOf(residency.list("a"), 0)
    }).pipe(Effect.provide(over({ a: {} }, { router: PipelineRouter.layer({ clientOptions: { sharedMillis: 0 } }) }))))

  it.effect("a stream that waits for a load gets heartbeats, one that only waits in a queue gets none", () =>
    Effect.gen(function* () {
      yield* ready
      const loading = new RecordingReply()
      const queued = new RecordingReply()
      const whole = new RecordingReply()
      const ends = yield* Effect.forEach(
        [ask("/api/chat", chat, loading), ask("/api/chat", { ...chat, stream: false }, whole)],
        (one) => Effect.forkChild(one, { startImmediately: true }),
      )
      yield* TestClock.adjust("39 seconds")
      assert.strictEqual(loading.heartbeats, 2)
      assert.strictEqual(whole.heartbeats, 0)
      yield* TestClock.adjust("2 seconds")
      const waits = yield* Effect.forkChild(ask("/api/chat", chat, queued), { startImmediately: true })
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(queued.heartbeats, 0)
      yield* Effect.forEach([...ends, waits], Fiber.join)
      assert.include(loading.text, `"done":true`)
    }).pipe(
      Effect.provide(
        over({ a: { loadTime: "40 seconds", decodeRate: 5 } }, {
          admission: BoundedAdmission.layer({ queueMillis: 120_000 }),
        }),
      ),
    ))

  it.effect("a stream that waits in a queue gets heartbeats if its client asks for them", () =>
    Effect.gen(function* () {
      yield* ready
      yield* finish(ask("/api/chat", chat), "1 minute")
      const asking = new RecordingReply()
      const silent = new RecordingReply()
      const whole = new RecordingReply()
      const headers = ["X-Llamero-Heartbeat", "queued"]
      const ends = yield* Effect.forEach(
        [
          ask("/api/chat", { ...chat, model: "tiny-loop", options: { num_predict: 300 } }),
          ask("/api/chat", { ...chat, model: "tiny-loop" }, silent),
          ask("/api/chat", { ...chat, model: "tiny-loop" }, asking, headers),
          ask("/api/chat", { ...chat, model: "tiny-loop", stream: false }, whole, headers),
        ],
        (one) => Effect.forkChild(one, { startImmediately: true }),
      )
      yield* TestClock.adjust("47 seconds")
      assert.strictEqual(asking.heartbeats, 3)
      assert.strictEqual(silent.heartbeats, 0)
      assert.strictEqual(whole.heartbeats, 0)
      yield* Effect.forEach(ends, Fiber.interrupt)
    }).pipe(
      Effect.provide(
        over({ a: { decodeRate: 5 } }, { admission: BoundedAdmission.layer({ queueMillis: 120_000 }) }),
      ),
    ))

  it.effect("all requests that wait for a load are answered after it, however long it takes, with heartbeats until then", () =>
    Effect.gen(function* () {
      yield* ready
      const replies = [new RecordingReply(), new RecordingReply(), new RecordingReply()]
      const ends = yield* Effect.forEach(
        replies,
        (reply) => Effect.forkChild(ask("/api/chat", chat, reply), { startImmediately: true }),
      )
      yield* TestClock.adjust("100 seconds")
      yield* Effect.forEach(ends, Fiber.join)
      for (const reply of replies) {
        assert.strictEqual(reply.status, 200)
        assert.isAtLeast(reply.heartbeats, 3)
      }
    }).pipe(Effect.provide(over({ a: { loadTime: "60 seconds" } }))))

  it.effect("a scorer that throws while others wait ends one request and not the queue", () => {
    let calls = 0
    const moody: Scorer = {
      kind: "scorer",
      name: "moody",
      score: () => {
        if (++calls === 4) throw new Error("moody")
        return 1
      },
    }
    const standard = StandardProfile.make()
    const profile = { ...standard, scorers: [{ scorer: moody, weight: 1 }] }
    return Effect.gen(function* () {
      yield* ready
      const replies = Array.from({ length: 6 }, () => new RecordingReply())
      const ends = yield* Effect.forEach(
        replies,
        (reply) => Effect.forkChild(ask("/api/chat", chat, reply), { startImmediately: true }),
      )
      yield* TestClock.adjust("25 seconds")
      yield* Effect.forEach(ends, Fiber.join)
      assert.deepStrictEqual(replies.map((reply) => reply.status ?? reply.refusals[0]!.status).sort(), [
        200,
        200,
        200,
        200,
        200,
        500,
      ])
      assert.deepStrictEqual(yield* idle, nothing)
    }).pipe(Effect.provide(over({ a: { decodeRate: 50 } }, { profile })))
  })

  it.effect("while it drains, new requests are refused and running ones finish", () =>
    Effect.gen(function* () {
      yield* ready
      yield* finish(ask("/api/chat", chat))
      const running = yield* Effect.forkChild(ask("/api/chat", chat), { startImmediately: true })
      yield* (yield* Router).drain
      const late = yield* ask("/api/chat", chat)
      assert.strictEqual(late.reply.refusals[0]!.reason, "Draining")
      yield* TestClock.adjust("1 minute")
      assert.strictEqual((yield* Fiber.join(running)).reply.status, 200)
    }).pipe(Effect.provide(over({ a: { decodeRate: 10 } }))))

  it.effect("no backend answers: 503 with Retry-After, at once", () =>
    Effect.gen(function* () {
      yield* ready
      ;(yield* server("a")).down()
      yield* TestClock.adjust("20 seconds")
      assert.strictEqual((yield* BackendHealth).status("a").state, "unhealthy")
      const { reply } = yield* ask("/api/chat", chat)
      assert.strictEqual(reply.refusals[0]!.status, 503)
      assert.isAtLeast(reply.refusals[0]!.retryAfter!, 1)
    }).pipe(Effect.provide(over({ a: {} }))))

  describe("guards", () => {
    const guard = (name: string, check: Guard["check"]): Guard => ({ kind: "guard", name, check })
    const seen: Array<string> = []
    const outcomes: Array<string> = []
    const passing = guard("passing", (request) => {
      seen.push("passing")
      return { _tag: "Pass", request, settled: (outcome) => outcomes.push(outcome.cause) }
    })
    const later = guard("later", (request) =>
      Effect.sync(() => {
        seen.push("later")
        return { _tag: "Pass" as const, request }
      }))
    const refusing = guard("refusing", (request) => {
      seen.push("refusing")
      return request.envelope.model === "tiny-b" ? refuse("Forbidden", "not this one") : { _tag: "Pass", request }
    })

    it.effect("run in their order, synchronous or not; a refusal ends the request; all that passed get the outcome", () =>
      Effect.gen(function* () {
        yield* ready
        const refused = yield* ask("/api/chat", { ...chat, model: "tiny-b" })
        assert.strictEqual(refused.reply.refusals[0]!.status, 403)
        assert.deepStrictEqual(seen, ["passing", "later", "refusing"])
        yield* finish(ask("/api/chat", chat))
        assert.deepStrictEqual(outcomes, ["Forbidden", "ok"])
      }).pipe(
        Effect.provide(over({ a: {} }, { router: PipelineRouter.layer({ guards: [passing, later, refusing] }) })),
      ))

    it.effect("one with a defect gives 500 without the cause, and nothing stays held", () =>
      Effect.gen(function* () {
        yield* ready
        const { reply } = yield* ask("/api/chat", chat)
        assert.strictEqual(reply.refusals[0]!.status, 500)
        assert.notInclude(reply.refusals[0]!.message, "boom")
        assert.deepStrictEqual(yield* idle, nothing)
      }).pipe(
        Effect.provide(Layer.mergeAll(over({ a: {} }, {
          router: PipelineRouter.layer({
            guards: [guard("dies", () => {
              throw new Error("boom")
            })],
          }),
        }))),
      ))
  })
})
