import { assert, describe, it } from "@effect/vitest"
import { Effect, Random } from "effect"
import * as CalibratedTokenEstimator from "../../../src/layers/tokens/CalibratedTokenEstimator.ts"
import * as CharactersTokenEstimator from "../../../src/layers/tokens/CharactersTokenEstimator.ts"
import { TokenEstimator } from "../../../src/services/TokenEstimator.ts"
import * as TokenEstimatorContract from "../../../src/testing/contracts/TokenEstimator.ts"
import { holds } from "../../support/checks.ts"
import { request } from "../../support/routers.ts"

holds("CharactersTokenEstimator is a TokenEstimator", TokenEstimatorContract.contract(CharactersTokenEstimator.layer()))
holds("CalibratedTokenEstimator is a TokenEstimator", TokenEstimatorContract.contract(CalibratedTokenEstimator.layer()))

/** 200 prompts at `ratio` bytes a token, give or take; each tenth was cut by the backend to a fifth. */
const taught = (ratio: number) =>
  Effect.gen(function* () {
    const { estimate, learn } = yield* TokenEstimator
    for (let i = 0; i < 200; i++) {
      const bytes = yield* Random.nextIntBetween(300, 60_000)
      const noise = 0.85 + 0.3 * (yield* Random.next)
      const tokens = Math.ceil(bytes / (ratio * noise))
      learn("m", bytes, i % 10 === 0 ? Math.ceil(tokens / 5) : tokens)
    }
    return estimate("m", 100_000) / (100_000 / ratio)
  }).pipe(Random.withSeed(`ratio ${ratio}`), Effect.provide(CalibratedTokenEstimator.layer()))

describe("CalibratedTokenEstimator", () => {
  for (const ratio of [2, 3, 4, 6]) {
    it.effect(`finds ${ratio} bytes a token in spite of some prompts that were cut`, () =>
      Effect.gen(function* () {
        const error = yield* taught(ratio)
        assert.isAbove(error, 0.9)
        assert.isBelow(error, 1.1)
      }))
  }

  it.effect("learns each model separately, and remembers a limited number of models", () =>
    Effect.gen(function* () {
      const { estimate, learn } = yield* TokenEstimator
      for (let i = 0; i < 50; i++) learn("a", 2000, 1000)
      assert.isAbove(estimate("a", 4000), 1800)
      assert.strictEqual(estimate("b", 4000), 1000)
      for (const model of ["b", "c"]) learn(model, 2000, 1000)
      assert.strictEqual(estimate("a", 4000), 1000)
    }).pipe(Effect.provide(CalibratedTokenEstimator.layer({ modelsMax: 2 }))))

  it.effect("learns nothing from impossible counts: no tokens, more tokens than bytes, a prompt of a few words", () =>
    Effect.gen(function* () {
      const { estimate, learn } = yield* TokenEstimator
      for (const [bytes, tokens] of [[2000, 0], [2000, 4000], [2000, 1], [20, 19], [Number.NaN, 5]] as const) {
        for (let i = 0; i < 50; i++) learn("m", bytes, tokens)
      }
      assert.strictEqual(estimate("m", 4000), 1000)
    }).pipe(Effect.provide(CalibratedTokenEstimator.layer())))
})

describe("atLeast", () => {
  const least = (body: object, path = "/api/chat") =>
    Effect.map(TokenEstimator, ({ atLeast }) => atLeast(request(path, { model: "m", ...body })))
  const user = (content: unknown) => ({ messages: [{ role: "user", content }] })

  it.effect("counts the words of the prompt in every dialect, and no other part of the body", () =>
    Effect.gen(function* () {
      const words = "one two three four"
      // The other three words are `role`, `user` and `content`.
      assert.strictEqual(yield* least({ ...user(words), options: { stop: ["a b c d e f"] } }), 7)
      assert.strictEqual(yield* least({ prompt: words }, "/api/generate"), 4)
      assert.strictEqual(yield* least({ input: words }, "/v1/responses"), 4)
      assert.strictEqual(yield* least(user("na\u00efve\nna\\u00efve")), 3 + 3)
    }).pipe(Effect.provide(CharactersTokenEstimator.layer())))

  it.effect("counts no words in an image", () =>
    Effect.gen(function* () {
      const picture = Buffer.from(Array.from({ length: 300_000 }, (_, i) => (i * i * 31 + i * 7) % 251)).toString(
        "base64",
      )
      const words = "word ".repeat(2000)
      for (
        const content of [
          [{ type: "text", text: words }, {
            type: "image_url",
            image_url: { url: `data:image/png;base64,${picture}` },
          }],
          [{ type: "text", text: words }, { type: "image", source: { type: "base64", data: picture } }],
        ]
      ) {
        assert.isAtMost(yield* least(user(content)), 2030)
        const { envelope } = request("/v1/chat/completions", { model: "m", ...user(content) })
        assert.strictEqual(envelope.images, 1)
        assert.isBelow(envelope.promptBytes, words.length + 300)
      }
      // Text that repeats with the same period as the samples.
      assert.strictEqual(request("/api/chat", { model: "m", ...user("a b ".repeat(4000)) }).envelope.images, 0)
      const { envelope } = request("/api/generate", { model: "m", prompt: words, images: [picture, picture] })
      assert.strictEqual(envelope.images, 2)
      assert.strictEqual(envelope.promptBytes, words.length + 2)
    }).pipe(Effect.provide(CharactersTokenEstimator.layer())))
})

it.effect("CharactersTokenEstimator takes four bytes for a token", () =>
  Effect.gen(function* () {
    const { estimate } = yield* TokenEstimator
    assert.deepStrictEqual([0, 4, 5, 30_000].map((bytes) => estimate("m", bytes)), [1, 1, 2, 7500])
    assert.throws(() => CharactersTokenEstimator.layer({ bytesPerToken: 0 }), RangeError)
  }).pipe(Effect.provide(CharactersTokenEstimator.layer())))
