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

  const long = "one two three four"
  const said = { role: "user", content: long }
  const tools = [{ type: "function", function: { name: "f", description: "a b c d e", parameters: {} } }]
  const earlier = "I had thought about it for long"

  it.effect("counts the words of the prompt in every dialect, and no other part of the body", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* least({ ...user(long), options: { stop: ["a b c d e f"] }, format: { a: "b c" } }), 4)
      assert.strictEqual(yield* least({ prompt: long }, "/api/generate"), 4)
      assert.strictEqual(yield* least({ prompt: long, images: ["a b"] }, "/api/v1/generate"), 4)
      assert.strictEqual(yield* least({ prompt: long, suffix: "five six" }, "/v1/completions"), 6)
      assert.strictEqual(yield* least({ input: long }, "/v1/responses"), 4)
      assert.strictEqual(yield* least({ input: [said, said] }, "/v1/responses"), 8)
      assert.strictEqual(yield* least({ input: [long, "five"] }, "/api/embed"), 5)
      assert.strictEqual(yield* least({ prompt: long }, "/api/embeddings"), 4)
      assert.strictEqual(yield* least(user([{ type: "text", text: long }]), "/v1/messages"), 4)
      assert.strictEqual(yield* least(user("na\u00efve\nna\\u00efve")), 3)
      assert.strictEqual(yield* least({ MESSAGES: [{ Role: "USER", Content: long }] }), 4)
    }).pipe(Effect.provide(CharactersTokenEstimator.layer())))

  const dialogs: ReadonlyArray<readonly [string, string, object, number]> = [
    ["thinking", "/api/chat", { messages: [said, { role: "assistant", content: "five", thinking: earlier }, said] }, 9],
    ...["reasoning", "reasoning_content"].map((key) =>
      [
        key,
        "/v1/chat/completions",
        { messages: [said, { role: "assistant", content: "five", [key]: earlier }, said] },
        9,
      ] as const
    ),
    ["thinking blocks", "/v1/messages", {
      messages: [said, {
        role: "assistant",
        content: [
          { type: "thinking", thinking: earlier, signature: "a b c" },
          { type: "redacted_thinking", data: earlier },
          { type: "text", text: "five" },
        ],
      }, said],
    }, 9],
    ["reasoning items", "/v1/responses", {
      input: [
        said,
        {
          type: "reasoning",
          id: "rs_1",
          summary: [{ type: "summary_text", text: earlier }],
          encrypted_content: earlier,
        },
        { type: "message", role: "assistant", content: [{ type: "output_text", text: "five" }] },
        said,
      ],
    }, 9],
    ["thinking in the content", "/api/chat", {
      messages: [said, { role: "assistant", content: `<think>\n${earlier}\n</think>\n\nfive` }, said],
    }, 9],
    ["thinking in the content that Go wrote", "/api/chat", {
      messages: [said, { role: "assistant", content: `\u003cthink\u003e${earlier}\u003c/think\u003e five` }, said],
    }, 9],
    ["thinking that was broken off", "/api/chat", {
      messages: [{ role: "assistant", content: `\n<think>${earlier}` }, said],
    }, 4],
    ["thinking as Gemma writes it", "/api/chat", {
      messages: [said, { role: "assistant", content: `<|channel>thought ${earlier}<channel|>five` }, said],
    }, 9],
    ["what follows the words `<think>` of a user", "/api/chat", {
      messages: [{ role: "user", content: "what is <think> one two</think> three" }],
    }, 7],
    ["ids, names and fields of other servers", "/v1/chat/completions", {
      messages: [{ ...said, id: "a b c", name: "d e f", metadata: { g: "h i" }, cache_control: { type: "j k" } }],
    }, 4],
    ["calls of tools and their ids", "/api/chat", {
      messages: [
        said,
        {
          role: "assistant",
          content: "five",
          tool_calls: [{ id: "a b", function: { name: "f", arguments: { x: "c d e f" } } }],
        },
        said,
      ],
    }, 9],
    ["refusals and audio", "/v1/chat/completions", {
      messages: [said, { role: "assistant", content: "five", refusal: earlier, audio: { id: earlier } }, said],
    }, 9],
    ["system prompts without tools", "/api/chat", { messages: [{ role: "system", content: "five six" }, said] }, 4],
    ["instructions", "/v1/responses", { instructions: earlier, input: long }, 4],
    [
      "a system prompt of Anthropic",
      "/v1/messages",
      { system: [{ type: "text", text: earlier }], messages: [said] },
      4,
    ],
    ["system of generate", "/api/generate", { prompt: long, system: earlier, context: [1, 2, 3] }, 4],
    ["what a template of the client's own may leave out", "/api/generate", { prompt: long, template: "hello" }, 0],
    ["a suffix with raw", "/api/generate", { prompt: long, suffix: earlier, raw: true, template: "" }, 4],
    ["other parts", "/v1/messages", {
      messages: [{ role: "user", content: [{ type: "text", text: long }, { type: "document", title: earlier }] }],
    }, 4],
    // A template that knows no tools renders of these two turns of a user only the later one.
    ["turns around a tool, without tools", "/api/chat", {
      messages: [said, { role: "tool", content: earlier }, { role: "user", content: "five" }],
    }, 1],
  ]
  for (const [what, path, body, words] of dialogs) {
    it.effect(`does not count ${what}: ${path}`, () =>
      Effect.gen(function* () {
        assert.strictEqual(yield* least(body, path), words)
      }).pipe(Effect.provide(CharactersTokenEstimator.layer())))
  }

  it.effect("counts system prompts and results of tools where the request offers tools", () =>
    Effect.gen(function* () {
      const system = { role: "system", content: "five six" }
      assert.strictEqual(yield* least({ tools, messages: [system, said, { role: "tool", content: long }] }), 10)
      assert.strictEqual(yield* least({ tools: [], messages: [system, said] }), 4)
      const results = [{ type: "tool_result", tool_use_id: "a b", content: [{ type: "text", text: long }] }]
      const anthropic = { tools, system: "five six", messages: [said, { role: "user", content: results }] }
      assert.strictEqual(yield* least(anthropic, "/v1/messages"), 10)
      const output = { type: "function_call_output", call_id: "a b", output: long }
      assert.strictEqual(yield* least({ tools, instructions: "five", input: [said, output] }, "/v1/responses"), 9)
    }).pipe(Effect.provide(CharactersTokenEstimator.layer())))

  it.effect("counts one token where a tokeniser has one: contractions, names with underscores", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* least({ prompt: "don't you'll I'm" }, "/api/generate"), 3)
      assert.strictEqual(yield* least({ prompt: "<|start_header_id|> __init__" }, "/api/generate"), 2)
    }).pipe(Effect.provide(CharactersTokenEstimator.layer())))

  it.effect("reads anything without an end or an error", () =>
    Effect.gen(function* () {
      const broken = [`[{"role":`, `[{"role":"user","content":"a b"},`, `{"a":[}`, `[[[["x"]]]]`, `["a",]`, "[1,2,{]"]
      for (const messages of broken) {
        const found = request("/api/chat", { model: "m" })
        const body = new TextEncoder().encode(`{"model":"m","messages":${messages}`)
        const { atLeast } = yield* TokenEstimator
        assert.isAtLeast(atLeast({ ...found, body }), 0, messages)
      }
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
