/**
 * Two models that do not fit on one GPU together, with constant demand for both: through llamero, and directly at the
 * same server.
 */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Layer } from "effect"
import { TestClock } from "effect/testing"
import { backend } from "../../src/services/Fleet.ts"
import { Router } from "../../src/services/Router.ts"
import { Transport } from "../../src/services/Transport.ts"
import * as SimulatedFleet from "../../src/simulated/SimulatedFleet.ts"
import * as SimulatedTransport from "../../src/simulated/SimulatedTransport.ts"
import { overManaged } from "../support/managed.ts"
import { idle, nothing, over, request, url } from "../support/routers.ts"
import { RecordingReply } from "../support/sinks.ts"

const { Model } = SimulatedFleet
const models = [Model.llama31.name, Model.mistral.name]
const minutes = 5
const loadMillis = 3500
const turnMillis = 2000
const ageing = 10_000

/** Each model fits with the 2 GiB that are kept free. Both together do not fit, even without them. */
const server: SimulatedFleet.ServerOptions = {
  models: [Model.llama31, Model.mistral],
  gpus: ["10 GiB"],
  contextLength: 4096,
  loadBandwidth: 2e9,
  loadTime: "1 second",
  releaseTime: "300 millis",
  overhead: "1 milli",
  prefillRate: 4000,
  decodeRate: 100,
  parallelism: 2,
  callsMax: 0,
}

interface Answer {
  readonly model: string
  readonly at: number
  readonly status: number
  readonly millis: number
}

const now = Effect.clockWith((clock) => clock.currentTimeMillis)

/**
 * Clients that ask again when they are answered, or after a pause. Each model has the same number of clients, and each
 * client asks for answers of another length.
 */
const play = <E, R>(
  send: (model: string, tokens: number) => Effect.Effect<number, E, R>,
  { clients = 8, pause = 0 }: { readonly clients?: number; readonly pause?: number } = {},
) =>
  Effect.gen(function* () {
    const simulated = (yield* SimulatedFleet.SimulatedFleet).get(url("a"))
    const answers: Array<Answer> = []
    yield* TestClock.adjust("1 second")
    const end = (yield* now) + minutes * 60_000
    const client = Effect.fnUntraced(function* (model: string, tokens: number) {
      for (let at = yield* now; at < end; at = yield* now) {
        const status = yield* send(model, tokens)
        answers.push({ model, at, status, millis: (yield* now) - at })
        if (pause > 0) yield* Effect.sleep(pause)
      }
    })
    for (let i = 0; i < clients; i++) yield* Effect.forkChild(client(models[i % 2]!, 40 + i * 10))
    yield* TestClock.adjust(`${minutes} minutes`)
    const { loads } = simulated.counts
    yield* TestClock.adjust("1 minute")
    return { answers, loads, longest: Math.max(...answers.map(({ millis }) => millis)) }
  })

const body = (model: string, tokens: number) => ({
  model,
  prompt: "hi",
  stream: false,
  options: { num_predict: tokens },
})

const routed = Effect.fnUntraced(function* (options?: Parameters<typeof play>[1]) {
  const router = yield* Router
  const send = Effect.fnUntraced(function* (model: string, tokens: number) {
    const call = request("/api/generate", body(model, tokens), yield* now)
    return (yield* router.route(call, new RecordingReply())).status
  })
  return yield* play(send, options)
})

const direct = Effect.gen(function* () {
  const transport = yield* Transport
  const to = backend(url("a"))
  return yield* play((model, tokens) =>
    Effect.callback<number>((resume) => {
      const bytes = new TextEncoder().encode(JSON.stringify(body(model, tokens)))
      let told = 0
      transport.send(to, { method: "POST", path: "/api/generate", headers: [], body: bytes }, {
        open: () => {},
        head: (status) => {
          told = status
        },
        data: () => {},
        end: () => resume(Effect.succeed(told)),
        fail: () => resume(Effect.succeed(0)),
      })
    })
  )
}).pipe(
  Effect.provide(SimulatedTransport.layer.pipe(Layer.provideMerge(SimulatedFleet.layer({ [url("a")]: server })))),
)

const print = (what: string, { answers, loads, longest }: Effect.Success<typeof direct>): void =>
  console.log(
    `${what}: ${answers.length} answers, ${loads} loads in ${minutes} minutes, longest ${longest} ms`,
  )

/**
 * About one load in ten seconds, not one for each request. No request waits longer than ageing plus a load plus the
 * requests under way. All are answered.
 */
const grouped = Effect.fnUntraced(function* ({ answers, loads, longest }: Effect.Success<typeof direct>) {
  assert.deepStrictEqual(answers.filter(({ status }) => status !== 200), [])
  assert.isAtMost(loads, minutes * 60_000 / ageing + 1)
  assert.isAtMost(longest, ageing + loadMillis + 2 * turnMillis)
  assert.deepStrictEqual(yield* idle, nothing)
})

describe("models that do not fit together", () => {
  it.effect(
    "are served in groups where memory is managed, and no request waits for ever",
    () =>
      Effect.gen(function* () {
        const figures = yield* routed()
        print("managed", figures)
        yield* grouped(figures)
      }).pipe(Effect.provide(overManaged({ a: server }, {}, { parallelism: 2 }))),
    60_000,
  )

  it.effect(
    "are served in groups with one client each that pauses half a second between its requests",
    () =>
      Effect.gen(function* () {
        const figures = yield* routed({ clients: 2, pause: 500 })
        print("managed, two clients with pauses", figures)
        yield* grouped(figures)
      }).pipe(Effect.provide(overManaged({ a: server }, {}, { parallelism: 2 }))),
    60_000,
  )

  it.effect(
    "are served in groups where memory is not managed, once it is known that they do not fit",
    () =>
      Effect.gen(function* () {
        const figures = yield* routed()
        // The router learns from the first swap, which takes as long as the server makes it.
        const later = figures.answers.filter(({ at }) => at > 30_000)
        const longest = Math.max(...later.map(({ millis }) => millis))
        print("not managed", figures)
        console.log(`not managed, after the first swap: longest ${longest} ms`)
        // A request that comes while the other model loads is held; its own load starts when that one is over.
        yield* grouped({ ...figures, longest: longest - loadMillis })
      }).pipe(Effect.provide(over({ a: server }, {}, { parallelism: 2 }))),
    60_000,
  )

  it.effect(
    "stay loaded while requests wait for them, although another model takes all streams",
    () =>
      Effect.gen(function* () {
        const router = yield* Router
        const simulated = (yield* SimulatedFleet.SimulatedFleet).get(url("a"))
        const ask = Effect.fnUntraced(function* (model: string, tokens: number) {
          const call = request("/api/generate", body(model, tokens), yield* now)
          return yield* Effect.forkChild(router.route(call, new RecordingReply()), { startImmediately: true })
        })
        yield* TestClock.adjust("1 second")
        yield* ask("tiny-loop", 1)
        yield* ask(Model.llama31.name, 1)
        yield* TestClock.adjust("10 seconds")
        // Both streams of the GPU, for 20 s.
        for (let i = 0; i < 2; i++) yield* ask("tiny-loop", 2000)
        const waits = yield* ask(Model.llama31.name, 1)
        const other = yield* ask(Model.mistral.name, 1)
        yield* TestClock.adjust("9 seconds")
        assert.strictEqual(simulated.counts.loads, 2)
        yield* TestClock.adjust("5 seconds")
        // The requests are held for some time, not for ever.
        assert.strictEqual(simulated.counts.loads, 3)
        yield* TestClock.adjust("1 minute")
        assert.strictEqual((yield* Fiber.join(waits)).status, 200)
        assert.strictEqual((yield* Fiber.join(other)).status, 200)
      }).pipe(
        Effect.provide(
          overManaged({ a: { ...server, models: [...server.models!, Model.tinyLoop] } }, {}, {
            parallelism: 2,
            streamsMax: 2,
          }),
        ),
      ),
    60_000,
  )

  it.effect("are swapped for nearly every request by the server itself", () =>
    Effect.gen(function* () {
      const figures = yield* direct
      print("direct", figures)
      assert.isAtLeast(figures.loads, 0.8 * figures.answers.length)
    }), 60_000)
})
