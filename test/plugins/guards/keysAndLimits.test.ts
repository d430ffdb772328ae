/** Keys, limits and aliases in the pipeline, on the simulated fleet. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Layer, Metric, Schema } from "effect"
import { RateLimiter } from "effect/persistence"
import { TestClock } from "effect/testing"
import * as StaticApiKeys from "../../../src/layers/keys/StaticApiKeys.ts"
import * as PipelineRouter from "../../../src/layers/router/PipelineRouter.ts"
import * as AliasGuard from "../../../src/plugins/guards/AliasGuard.ts"
import * as ApiKeyGuard from "../../../src/plugins/guards/ApiKeyGuard.ts"
import * as ContextGuard from "../../../src/plugins/guards/ContextGuard.ts"
import * as RateLimitGuard from "../../../src/plugins/guards/RateLimitGuard.ts"
import * as SessionAffinity from "../../../src/plugins/scorers/SessionAffinity.ts"
import { Fleet } from "../../../src/services/Fleet.ts"
import type { GuardInput } from "../../../src/services/Plugin.ts"
import { Router, type Settled } from "../../../src/services/Router.ts"
import { RouterEvents } from "../../../src/services/RouterEvents.ts"
import * as SimulatedFleet from "../../../src/simulated/SimulatedFleet.ts"
import * as ErrorShapes from "../../../src/wire/errorShapes.ts"
import { over, request, url } from "../../support/routers.ts"
import { RecordingReply } from "../../support/sinks.ts"

const { Model } = SimulatedFleet
const memory = RateLimiter.layer.pipe(Layer.provide(RateLimiter.layerStoreMemory))
const keys = StaticApiKeys.layer([
  { id: "all", secret: { key: "k-all" }, tenant: "team" },
  { id: "one", secret: { key: "k-one" }, models: ["TINY-eos"], priority: "batch" },
  { id: "few", secret: { key: "k-few" }, limits: { requestsPerMinute: 2 } },
  { id: "both", secret: { key: "k-both" }, limits: { requestsPerMinute: 6, tokensPerMinute: 600 } },
  { id: "pair", secret: { key: "k-pair" }, limits: { requestsPerMinute: 2, concurrent: 2 } },
])
const needs = Layer.merge(keys, memory)
const setup = (
  guards: ReadonlyArray<GuardInput<Layer.Success<typeof needs> | PipelineRouter.Needs>>,
  servers: Readonly<Record<string, SimulatedFleet.ServerOptions>> = { a: { decodeRate: 1000 } },
) => over(servers, { router: PipelineRouter.layer({ guards }) }).pipe(Layer.provide(needs))

const send = (body: object, key = "", path = "/api/chat", reply = new RecordingReply()) =>
  Effect.gen(function* () {
    const router = yield* Router
    const now = yield* Effect.clockWith((clock) => clock.currentTimeMillis)
    const made = request(path, body, now)
    const headers = key === "" ? made.headers : [...made.headers, "Authorization", `Bearer ${key}`]
    const settled: Settled = yield* router.route({ ...made, headers }, reply)
    return { settled, reply }
  })
const finish = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.gen(function* () {
    yield* TestClock.adjust("1 second")
    const fiber = yield* Effect.forkChild(effect, { startImmediately: true })
    yield* TestClock.adjust("5 seconds")
    return yield* Fiber.join(fiber)
  })
const model = "tiny-eos"
const chat = { model, messages: [{ role: "user", content: "hi" }] }
const paths: ReadonlyArray<readonly [string, object]> = [
  ["/api/chat", chat],
  ["/v1/chat/completions", chat],
  ["/v1/messages", { ...chat, max_tokens: 3 }],
  ["/v1/responses", { model, input: "hi" }],
  ["/api/v1/generate", { model, prompt: "hi" }],
]
const rendered = (path: string, body: object, { refusals }: RecordingReply) => {
  const { body: bytes, headers, status } = ErrorShapes.refusal(request(path, body).endpoint, refusals[0]!, "id")
  return { status, headers: headers.join(" "), text: new TextDecoder().decode(bytes) }
}
/** An error without its message. */
const shape = (text: string) => {
  const { error, request_id: _, ...rest } = JSON.parse(text)
  return typeof error === "string" ? "native" : { ...rest, ...error, message: undefined }
}
/** The error types of each dialect. The clients of OpenAI and Anthropic read the status and these. */
const called = (openai: readonly [type: string, code: string], anthropic: string) => (path: string, text: string) => {
  if (path === "/v1/messages") {
    assert.strictEqual(JSON.parse(text).type, "error")
    return { type: anthropic, message: undefined }
  }
  return path.startsWith("/v1/") ? { message: undefined, type: openai[0], param: null, code: openai[1] } : "native"
}
const unauthorized = called(["invalid_request_error", "invalid_api_key"], "authentication_error")
const forbidden = called(["invalid_request_error", "model_not_found"], "permission_error")
const limited = called(["rate_limit_error", "rate_limit_exceeded"], "rate_limit_error")

const count = (path: string, id = "a") =>
  Effect.map(
    SimulatedFleet.SimulatedFleet,
    (fleet) => fleet.get(url(id)).calls.filter((call) => call.path === path).length,
  )

describe("ApiKeyGuard", () => {
  for (const [path, body] of paths) {
    it.effect(`${path}: 401 without a key or with a wrong one, 403 for another model, in the dialect`, () =>
      Effect.gen(function* () {
        for (const [key, status, said] of [["", 401, /is needed/], ["k-wrong", 401, /not valid/]] as const) {
          const { reply } = yield* finish(send(body, key, path))
          const answer = rendered(path, body, reply)
          assert.strictEqual(answer.status, status)
          assert.match(answer.text, said)
          assert.notInclude(answer.text, "k-")
          assert.match(answer.headers, /WWW-Authenticate Bearer realm="llamero"/)
          assert.deepStrictEqual(shape(answer.text), unauthorized(path, answer.text))
        }
        const other = { ...body, model: "tiny-loop" }
        const { reply } = yield* finish(send(other, "k-one", path))
        const answer = rendered(path, other, reply)
        assert.strictEqual(answer.status, 403)
        assert.notMatch(answer.headers, /WWW-Authenticate/)
        assert.deepStrictEqual(shape(answer.text), forbidden(path, answer.text))
        assert.strictEqual((yield* finish(send(body, "k-one", path))).settled.status, 200)
      }).pipe(Effect.provide(setup([ApiKeyGuard.make()]))))
  }

  it.effect("the request has the tenant of its key; events name the tenant and never the key", () =>
    Effect.gen(function* () {
      yield* finish(send(chat, "k-all"))
      const events = (yield* RouterEvents).recent(50)
      const settled = events.find((event) => event._tag === "RequestSettled")
      assert(settled?._tag === "RequestSettled")
      assert.strictEqual(settled.tenant, "team")
      assert.notInclude(JSON.stringify(events), "k-all")
    }).pipe(Effect.provide(setup([ApiKeyGuard.make()]))))
})

describe("RateLimitGuard", () => {
  for (const [path, body] of paths) {
    it.effect(`${path}: 429 with Retry-After, in the dialect; a minute later the full limit is available again`, () =>
      Effect.gen(function* () {
        for (const status of [200, 200, 429]) {
          const { reply, settled } = yield* send(body, "k-few", path).pipe(
            Effect.forkChild({ startImmediately: true }),
            Effect.tap(() => TestClock.adjust("1 second")),
            Effect.flatMap(Fiber.join),
          )
          assert.strictEqual(settled.status, status)
          if (status !== 429) continue
          const answer = rendered(path, body, reply)
          assert.match(answer.headers, /Retry-After ([12]?\d|30)\b/)
          assert.match(answer.headers, /X-RateLimit-Limit-Requests 2 X-RateLimit-Remaining-Requests 0 /)
          assert.match(answer.headers, /X-RateLimit-Reset-Requests ([12]?\d|30)s/)
          assert.include(answer.text, "2 requests a minute")
          assert.deepStrictEqual(shape(answer.text), limited(path, answer.text))
        }
        // Other tenants are not limited by it.
        assert.strictEqual((yield* finish(send(body, "k-all", path))).settled.status, 200)
        yield* TestClock.adjust("1 minute")
        assert.strictEqual((yield* finish(send(body, "k-few", path))).settled.status, 200)
      }).pipe(Effect.provide(setup([ApiKeyGuard.make(), RateLimitGuard.make()]))))
  }

  it.effect("answers say how many requests and tokens are left", () =>
    Effect.gen(function* () {
      const first = yield* finish(send(chat, "k-both"))
      const second = yield* finish(send(chat, "k-both"))
      const [before, after] = [first, second].map(({ reply }) => reply.annotations.join(" "))
      assert.match(
        before!,
        /X-RateLimit-Limit-Requests 6 X-RateLimit-Remaining-Requests 5 X-RateLimit-Reset-Requests 10s/,
      )
      // One request is refilled in ten seconds; half of that has passed.
      assert.match(after!, /X-RateLimit-Remaining-Requests 4 X-RateLimit-Reset-Requests (1[0-9]|20)s/)
      assert.match(
        before!,
        /X-RateLimit-Limit-Tokens 600 X-RateLimit-Remaining-Tokens 5\d\d X-RateLimit-Reset-Tokens \ds/,
      )
      const few = yield* finish(send(chat, "k-few"))
      assert.match(few.reply.annotations.join(" "), /Limit-Requests 2 X-RateLimit-Remaining-Requests 1 /)
      const unlimited = yield* finish(send(chat, "k-all"))
      assert.notInclude(unlimited.reply.annotations.join(" "), "RateLimit")
    }).pipe(Effect.provide(setup([ApiKeyGuard.make(), RateLimitGuard.make()]))))

  it.effect("each key has limits of its own, and a refused request does not count as running", () =>
    Effect.gen(function* () {
      for (const key of ["k-few", "k-pair"]) {
        for (const status of [200, 200, 429, 429, 429]) {
          const fiber = yield* Effect.forkChild(send(chat, key), { startImmediately: true })
          yield* TestClock.adjust("1 second")
          const { reply, settled } = yield* Fiber.join(fiber)
          assert.strictEqual(settled.status, status, key)
          if (status === 429) assert.include(reply.refusals[0]?.message, "a minute")
        }
      }
      yield* TestClock.adjust("1 minute")
      assert.strictEqual((yield* finish(send(chat, "k-pair"))).settled.status, 200)
    }).pipe(Effect.provide(setup([ApiKeyGuard.make(), RateLimitGuard.make()]))))

  it.effect("limits running requests; one that ends, in whatever way, makes room for the next", () =>
    Effect.gen(function* () {
      yield* TestClock.adjust("1 second")
      const running = yield* Effect.forkChild(send(chat), { startImmediately: true })
      const leaving = yield* Effect.forkChild(send(chat), { startImmediately: true })
      assert.strictEqual((yield* send(chat)).settled.status, 429)
      yield* Fiber.interrupt(leaving)
      const missing = yield* Effect.forkChild(send({ ...chat, model: "nobody-has-it" }), { startImmediately: true })
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual((yield* Fiber.join(missing)).settled.status, 404)
      assert.strictEqual((yield* Fiber.join(running)).settled.status, 200)
      const two = yield* Effect.forEach([0, 1], () => Effect.forkChild(send(chat), { startImmediately: true }))
      assert.strictEqual((yield* send(chat)).settled.status, 429)
      yield* TestClock.adjust("10 seconds")
      for (const fiber of two) assert.strictEqual((yield* Fiber.join(fiber)).settled.status, 200)
    }).pipe(Effect.provide(setup([RateLimitGuard.make({ concurrent: 2 })]))))

  it.effect("while the store is down: 503 where the guard fails closed, pass where it fails open", () => {
    const down = Layer.succeed(RateLimiter.RateLimiterStore, {
      fixedWindow: () => Effect.die("unused"),
      tokenBucket: () =>
        Effect.fail(
          new RateLimiter.RateLimiterError({ reason: new RateLimiter.RateLimitStoreError({ message: "down" }) }),
        ),
      adaptiveConsume: () => Effect.die("unused"),
      adaptiveFeedback: () => Effect.void,
    })
    const status = (fails: "closed" | "open") =>
      Effect.map(finish(send(chat)), ({ settled }) => settled.status).pipe(Effect.provide(
        over({ a: {} }, {
          router: PipelineRouter.layer({
            guards: [RateLimitGuard.make({ requestsPerMinute: 5, tokensPerMinute: 500, fails })],
          }),
        }).pipe(Layer.provide(RateLimiter.layer), Layer.provide(down)),
      ))
    return Effect.gen(function* () {
      assert.strictEqual(yield* status("closed"), 503)
      assert.strictEqual(yield* status("open"), 200)
    })
  })

  const perMinute = 3000
  const Step = Schema.Struct({
    /** 0: streams to its end, 1: the client leaves half way, 2: the model does not exist, 3: does not stream. */
    how: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 3 })),
    words: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 400 })),
    wait: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 8 })),
  })
  it.effect.prop(
    "tokens let in never exceed the refilled ones, and the tokens charged are those used, whenever clients leave",
    { steps: Schema.Array(Step) },
    ({ steps }) => {
      const book = { taken: 0 }
      // The store's own bucket, and beside it a sum of the tokens taken and given back.
      const spied = Layer.effect(
        RateLimiter.RateLimiterStore,
        Effect.map(RateLimiter.RateLimiterStore, (store) => ({
          ...store,
          tokenBucket: (options: Parameters<typeof store.tokenBucket>[0]) =>
            Effect.tap(store.tokenBucket(options), ([left]) =>
              Effect.sync(() => {
                if (options.allowOverflow || left >= 0) book.taken += options.tokens
              })),
        })),
      ).pipe(Layer.provide(RateLimiter.layerStoreMemory))
      const stack = over({ a: { decodeRate: 100, models: [Model.model({ name: model, tokenizer: "chars4" })] } }, {
        router: PipelineRouter.layer({ guards: [RateLimitGuard.make({ tokensPerMinute: perMinute })] }),
      }).pipe(Layer.provide(RateLimiter.layer), Layer.provide(spied))
      return Effect.gen(function* () {
        yield* TestClock.adjust("1 second")
        const began = yield* Effect.clockWith((clock) => clock.currentTimeMillis)
        let used = 0
        let left = 0
        for (const { how, wait, words } of steps) {
          const body = {
            model: how === 2 ? "nobody-has-it" : model,
            prompt: "word ".repeat(words),
            stream: how !== 3,
            options: { num_predict: 20 },
          }
          const reply = new RecordingReply()
          const fiber = yield* Effect.forkChild(send(body, "", "/api/generate", reply), { startImmediately: true })
          if (how === 1) {
            yield* TestClock.adjust("50 millis")
            yield* Fiber.interrupt(fiber)
            left++
          } else {
            yield* TestClock.adjust("10 seconds")
            const { settled } = yield* Fiber.join(fiber)
            const { answerTokens = 0, promptTokens = 0 } = settled.outcome?.usage ?? {}
            if (settled.status === 200) used += promptTokens + answerTokens
          }
          yield* TestClock.adjust(wait * 1000)
          const minutes = ((yield* Effect.clockWith((clock) => clock.currentTimeMillis)) - began) / 60_000
          // One answer of twenty tokens, or one estimate, may not be corrected yet.
          assert.isAtMost(book.taken, perMinute * (1 + minutes) + 700)
          if (left === 0) assert.strictEqual(book.taken, used)
          else assert.isAtLeast(book.taken, used)
        }
      }).pipe(Effect.provide(stack))
    },
    { arbitrary: { runs: 30, size: 12, seed: "limits" } },
  )
})

describe("AliasGuard", () => {
  const aliases = { "GPT-4o": ["not-there", model, "tiny-loop"], loop: "tiny-loop", lost: "nowhere" }
  const servers = {
    a: { models: [Model.tinyEos], decodeRate: 1000 },
    b: { models: [Model.tinyLoop], decodeRate: 1000 },
  }
  const ask = (name: string) => finish(send({ ...chat, model: name, stream: false, options: { num_predict: 3 } }))

  it.effect("the first model of a list that a healthy backend has answers, under its own name", () =>
    Effect.gen(function* () {
      const { reply, settled } = yield* ask("gpt-4o:latest")
      assert.strictEqual(settled.status, 200)
      assert.include(reply.text, `"model":"tiny-eos"`)
      assert.deepStrictEqual(reply.annotations.slice(0, 2), ["X-Llamero-Model", model])
      assert.strictEqual(yield* count("/api/chat"), 1)
      yield* (yield* Fleet).setState("a", "isolated")
      const next = yield* ask("gpt-4o")
      assert.strictEqual(next.settled.status, 200)
      assert.strictEqual(next.settled.backend, "b")
      assert.include(next.reply.text, `"model":"tiny-loop"`)
      yield* (yield* Fleet).setState("b", "isolated")
      assert.strictEqual((yield* ask("gpt-4o")).settled.refusal?.reason, "NoBackend")
    }).pipe(Effect.provide(setup([AliasGuard.make(aliases)], servers))))

  it.effect("other names are not changed; an alias of unknown models is answered with 404 for the alias", () =>
    Effect.gen(function* () {
      const plain = yield* ask(model)
      assert.strictEqual(plain.settled.status, 200)
      assert.notInclude(plain.reply.annotations, "X-Llamero-Model")
      const lost = yield* ask("lost")
      assert.strictEqual(lost.settled.status, 404)
      assert.include(lost.reply.refusals[0]?.message, "'lost'")
    }).pipe(Effect.provide(setup([AliasGuard.make(aliases)], servers))))

  it.effect("a key permits the names that its client uses, aliases included", () =>
    Effect.gen(function* () {
      assert.strictEqual((yield* finish(send({ ...chat, model: "loop" }, "k-one"))).settled.status, 403)
    }).pipe(Effect.provide(setup([ApiKeyGuard.make(), AliasGuard.make(aliases)], servers))))
})

describe("metrics of guards", () => {
  const { guard: session } = SessionAffinity.make()
  const shipped = [
    ApiKeyGuard.make(),
    RateLimitGuard.make(),
    AliasGuard.make({ other: model }),
    session,
    ContextGuard.make(),
  ]
  it.effect("every guard counts verdicts and durations under its name, and a guard that was not asked counts none", () =>
    Effect.gen(function* () {
      const counts = (name: string) =>
        Effect.map(
          Metric.snapshot,
          (snapshot) =>
            snapshot.flatMap(({ attributes, id, state }) =>
              attributes?.["guard"] === name && "count" in state && Number(state.count) > 0
                ? [`${id.replace("llamero_guard_", "")} ${attributes["verdict"] ?? ""} ${state.count}`]
                : []
            ).sort(),
        )
      const names = ["api-key", "rate-limit", "alias", "session", "context"]
      assert.strictEqual((yield* finish(send(chat, "k-wrong"))).settled.status, 401)
      assert.deepStrictEqual(yield* counts("api-key"), ["duration_seconds  1", "verdicts_total refuse 1"])
      for (const name of names.slice(1)) assert.deepStrictEqual(yield* counts(name), [], name)
      for (const status of [200, 200, 429]) {
        assert.strictEqual((yield* finish(send(chat, "k-few"))).settled.status, status)
      }
      const passed = "verdicts_total pass"
      // Checks that are Effects are measured each time, the others are sampled.
      assert.deepStrictEqual(yield* counts("api-key"), [
        "duration_seconds  1",
        `${passed} 3`,
        "verdicts_total refuse 1",
      ])
      assert.deepStrictEqual(yield* counts("rate-limit"), [
        "duration_seconds  3",
        `${passed} 2`,
        "verdicts_total refuse 1",
      ])
      for (const name of names.slice(2)) {
        assert.deepStrictEqual(yield* counts(name), ["duration_seconds  1", `${passed} 2`], name)
      }
    }).pipe(Effect.provide(setup(shipped)), Effect.provideService(Metric.MetricRegistry, new Map())))
})
