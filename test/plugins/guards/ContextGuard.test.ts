import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import * as PipelineRouter from "../../../src/layers/router/PipelineRouter.ts"
import * as CalibratedTokenEstimator from "../../../src/layers/tokens/CalibratedTokenEstimator.ts"
import * as ContextGuard from "../../../src/plugins/guards/ContextGuard.ts"
import { TokenEstimator } from "../../../src/services/TokenEstimator.ts"
import * as SimulatedFleet from "../../../src/simulated/SimulatedFleet.ts"
import * as ErrorShapes from "../../../src/wire/errorShapes.ts"
import { ask, over, request, url } from "../../support/routers.ts"

const { Model } = SimulatedFleet
const guarded = (options?: ContextGuard.Options, tiers?: ReadonlyArray<number>) =>
  PipelineRouter.layer({ guards: [ContextGuard.make(options)], clientOptions: { contextTiers: tiers } })
const finish = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.gen(function* () {
    yield* TestClock.adjust("1 second")
    const fiber = yield* Effect.forkChild(effect, { startImmediately: true })
    yield* TestClock.adjust("60 seconds")
    return yield* Fiber.join(fiber)
  })
/** The bodies that the backend got on a path, except those of loads. */
const calls = (path: string) =>
  Effect.map(SimulatedFleet.SimulatedFleet, (fleet) =>
    fleet.get(url("a")).calls.filter((call) => call.path === path)
      .map(({ body }) => new TextDecoder().decode(body)).filter((body) => body.includes("word")))

/** `tiny-eos` was trained with 4096 tokens, of which 3768 are for the prompt. */
const words = (count: number) => "word ".repeat(count)
const model = "tiny-eos"
const bodies: ReadonlyArray<readonly [string, (text: string) => object]> = [
  ["/api/generate", (prompt) => ({ model, prompt })],
  ["/api/chat", (content) => ({ model, messages: [{ role: "user", content }] })],
  ["/v1/chat/completions", (content) => ({ model, messages: [{ role: "user", content }] })],
  ["/v1/completions", (prompt) => ({ model, prompt })],
  ["/v1/responses", (input) => ({ model, input })],
  ["/v1/messages", (content) => ({ model, max_tokens: 5, messages: [{ role: "user", content }] })],
  ["/api/v1/generate", (prompt) => ({ model, prompt })],
]

describe("ContextGuard", () => {
  for (const [path, body] of bodies) {
    it.effect(`${path}: refuses a prompt that cannot fit with 400 and the numbers, and calls no backend`, () =>
      Effect.gen(function* () {
        const { reply, settled } = yield* finish(ask(path, body(words(6000))))
        assert.strictEqual(settled.status, 400)
        const { endpoint } = request(path, body(""))
        assert.lengthOf(yield* calls(endpoint.upstreamPath), 0)
        const why = reply.refusals[0]!
        assert.match(why.message, /about 75\d\d tokens, and tiny-eos:latest takes 3768 here \(a context of 4096/)
        const rendered = ErrorShapes.refusal(endpoint, why, "id")
        const told = JSON.parse(new TextDecoder().decode(rendered.body))
        const shape = endpoint.dialect === "openai" || endpoint.dialect === "anthropic" ? told.error : told
        assert.strictEqual(shape.message ?? shape.error, why.message)
        if (endpoint.dialect === "openai" || endpoint.dialect === "anthropic") {
          assert.strictEqual(shape.type, "invalid_request_error")
        }
        const fits = yield* finish(ask(path, body(words(2000))))
        assert.strictEqual(fits.settled.status, 200)
      }).pipe(Effect.provide(over({ a: {} }, { router: guarded() }))))
  }

  it.effect("does not refuse a prompt that may fit: long words, images, embeddings, unknown models", () =>
    Effect.gen(function* () {
      const passes = (path: string, body: object) =>
        Effect.map(
          finish(ask(path, { model, ...body })),
          ({ reply }) => assert.notMatch(reply.refusals[0]?.message ?? "", /too long/, path),
        )
      // With four characters a token this is 5,000 tokens. A tokeniser that knows the words finds 2,000.
      yield* passes("/api/generate", { prompt: "antidisestablishment ".repeat(1000) })
      yield* passes("/api/generate", { prompt: `a${" ".repeat(30_000)}b` })
      const content = [{ type: "image_url", image_url: { url: `data:image/png;base64,${"iVBORw0KGgo".repeat(9000)}` } }]
      yield* passes("/v1/chat/completions", { messages: [{ role: "user", content }] })
      yield* passes("/api/embed", { input: Array.from({ length: 50 }, () => words(300)) })
      yield* passes("/api/generate", { model: "nobody-has-it", prompt: words(6000) })
    }).pipe(Effect.provide(over({ a: {} }, { router: guarded() }))))

  const said = { role: "user", content: "hello word" }
  const earlier = words(20_000)
  const thought: ReadonlyArray<readonly [string, object]> = [
    ["/api/chat", { messages: [said, { role: "assistant", content: "yes", thinking: earlier }, said] }],
    ["/v1/chat/completions", { messages: [said, { role: "assistant", content: "yes", reasoning: earlier }, said] }],
    ["/v1/chat/completions", {
      messages: [said, { role: "assistant", content: "yes", reasoning_content: earlier }, said],
    }],
    ["/v1/messages", {
      max_tokens: 5,
      messages: [
        said,
        { role: "assistant", content: [{ type: "thinking", thinking: earlier, signature: earlier }] },
        { role: "assistant", content: [{ type: "redacted_thinking", data: earlier }, { type: "text", text: "yes" }] },
        said,
      ],
    }],
    ["/v1/responses", { input: [said, { type: "reasoning", summary: [], encrypted_content: earlier }, said] }],
    ["/api/chat", { messages: [{ ...said, note: earlier }] }],
  ]
  for (const judge of ["certain", "likely"] as const) {
    it.effect(`does not refuse for what is not rendered, judge ${judge}`, () =>
      Effect.gen(function* () {
        for (const [path, body] of thought) {
          const { reply } = yield* finish(ask(path, { model, ...body }))
          assert.deepStrictEqual(reply.refusals, [], `${path} ${JSON.stringify(body).slice(0, 100)}`)
        }
      }).pipe(Effect.provide(over({ a: {} }, { router: guarded({ judge }) }))))
  }

  it.effect("lets a prompt pass whose client asks for the cut, and no other one", () =>
    Effect.gen(function* () {
      const status = (path: string, more: object) =>
        Effect.map(finish(ask(path, { ...bodies.find(([each]) => each === path)![1](words(6000)), ...more })), (done) =>
          done.settled.status)
      const asked: ReadonlyArray<readonly [string, object]> = [
        ["/api/generate", { truncate: true }],
        ["/api/chat", { truncate: true }],
        ["/api/chat", { TRUNCATE: true }],
        ["/api/chat", { shift: true }],
        ["/api/v1/generate", { truncate: true }],
        ["/v1/chat/completions", { truncate: true }],
        ["/v1/responses", { truncation: "auto" }],
      ]
      for (const [path, more] of asked) {
        assert.strictEqual(yield* status(path, more), 200, JSON.stringify([path, more]))
      }
      const others: ReadonlyArray<readonly [string, object]> = [
        ["/api/generate", { truncate: false }],
        ["/api/generate", { truncate: null }],
        ["/api/chat", { shift: false }],
        ["/v1/responses", { truncation: "disabled" }],
        ["/v1/chat/completions", { shift: true }],
      ]
      for (const [path, more] of others) {
        assert.strictEqual(yield* status(path, more), 400, JSON.stringify([path, more]))
      }
    }).pipe(Effect.provide(over({ a: {} }, { router: guarded() }))))

  it.effect("refuses by the estimate with judge `likely`: more than 7,536 of 8,192 tokens", () =>
    Effect.gen(function* () {
      const status = (bytes: number) =>
        Effect.map(
          finish(ask("/api/generate", { model, prompt: " ".repeat(bytes - 2) })),
          ({ settled }) => settled.status,
        )
      assert.strictEqual(yield* status(4 * 7536), 200)
      assert.strictEqual(yield* status(4 * 7536 + 1), 400)
    }).pipe(Effect.provide(
      over({ a: { models: [Model.model({ name: model, contextTrained: 8192 })] } }, {
        router: guarded({ judge: "likely" }),
      }),
    )))

  it.effect("reads the context that is loaded, not the one that the model was trained with", () =>
    Effect.gen(function* () {
      const first = yield* finish(ask("/api/generate", { model, prompt: words(1500) }))
      assert.strictEqual(first.settled.status, 200)
      const second = yield* finish(ask("/api/generate", { model, prompt: words(1500) }))
      assert.match(second.reply.refusals[0]!.message, /a context of 1024/)
    }).pipe(Effect.provide(over({ a: { contextLength: 1024 } }, { router: guarded() }))))

  it.effect("chooses a larger tier, in the native dialect, before it refuses", () =>
    Effect.gen(function* () {
      const native = yield* finish(ask("/api/generate", { model, prompt: words(1500) }))
      assert.strictEqual(native.settled.status, 200)
      const [sent] = yield* calls("/api/generate")
      assert.include(sent!, `"num_ctx":2048`)
      const openai = yield* finish(ask("/v1/completions", { model, prompt: words(1500) }))
      assert.strictEqual(openai.settled.status, 400)
    }).pipe(Effect.provide(
      over({ a: { contextLength: 1024 } }, { router: guarded({ contextTiers: [4096, 2048] }, [2048, 4096]) }, {
        labels: { "context-length": "1024" },
      }),
    )))

  it.effect("chooses a sibling with room before it refuses, and names it in the answer", () =>
    Effect.gen(function* () {
      const { reply, settled } = yield* finish(ask("/v1/completions", { model, prompt: words(6000), seed: 1 }))
      assert.strictEqual(settled.status, 200)
      const [sent] = yield* calls("/v1/completions")
      assert.include(sent!, `"model":"big:latest"`)
      assert.include(sent!, `"seed":1}`)
      assert.deepStrictEqual(reply.annotations.slice(0, 2), ["X-Llamero-Model", "big:latest"])
      const none = yield* finish(ask("/v1/completions", { model, prompt: words(40_000) }))
      assert.strictEqual(none.settled.status, 400)
    }).pipe(Effect.provide(
      over({ a: { models: [Model.tinyEos, Model.model({ name: "big", contextTrained: 32_768 })] } }, {
        router: guarded({ siblings: { [model]: ["nobody-has-it", "big:latest"] } }),
      }),
    )))

  it.effect("the estimator learns from answers in each dialect, but not from answers to a prompt that was cut", () =>
    Effect.gen(function* () {
      const { estimate } = yield* TokenEstimator
      let before = estimate("tiny-eos:latest", 10_000)
      assert.strictEqual(before, 5000)
      for (const [path, body] of bodies) {
        for (const stream of [true, false]) {
          const { settled } = yield* finish(
            ask(path, { ...body(words(400)), stream, stream_options: { include_usage: true } }),
          )
          assert.isAbove(settled.outcome?.usage?.promptTokens ?? 0, 400, `${path} ${stream}`)
          assert.isAbove(settled.outcome?.usage?.answerTokens ?? 0, 0, `${path} ${stream}`)
        }
        const after = estimate("tiny-eos:latest", 10_000)
        assert.isBelow(after, before, path)
        before = after
      }
      assert.isAbove(before, 2400)
      const cut = yield* finish(ask("/api/generate", { model, prompt: words(10_000) }))
      assert.isBelow(cut.settled.outcome?.usage?.promptTokens ?? 5000, 4097)
      assert.strictEqual(estimate("tiny-eos:latest", 10_000), before)
    }).pipe(Effect.provide(
      over({ a: { decodeRate: 1000, models: [Model.model({ name: model, tokenizer: "chars4" })] } }, {
        tokens: CalibratedTokenEstimator.layer({ bytesPerToken: 2 }),
      }),
    )))

  it("rejects options that make no sense", () => {
    assert.throws(() => ContextGuard.make({ headroom: 1 }), RangeError)
  })
})
