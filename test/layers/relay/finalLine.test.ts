import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { Tail, usage } from "../../../src/layers/relay/finalLine.ts"
import { bytes } from "../../support/sinks.ts"

const figures =
  `"done":true,"done_reason":"length","total_duration":7326554,"load_duration":1056467,"prompt_eval_count":25,"prompt_eval_duration":660000,"eval_count":3,"eval_duration":332000}\n`
const native = { promptTokens: 25, answerTokens: 3, slotWaitMillis: (7326554 - 1056467 - 660000 - 332000) / 1e6 }

const read = (...chunks: ReadonlyArray<string>) => {
  const tail = new Tail()
  for (const chunk of chunks) tail.push(bytes(chunk))
  return usage(tail.text())
}

describe("final line", () => {
  it("reads Ollama's figures, in a stream or in one piece, also before a trailing chunk", () => {
    assert.deepStrictEqual(read(`{"response":"x","done":false}\n`, `{"response":"",${figures}`), native)
    assert.deepStrictEqual(read(`{"response":"${"x".repeat(9000)}",${figures}`), native)
    assert.deepStrictEqual(read(`{"response":"",${figures.slice(0, 60)}`, figures.slice(60, -1), "\n"), native)
  })

  it("reads figures in any spelling of JSON", () => {
    for (const [colon, comma] of [[": ", ", "], [" : ", " , "], [":\t", ","], [":\r\n ", ",\r\n"]] as const) {
      const spelled = figures.replaceAll(":", colon).replaceAll(",", comma)
      assert.deepStrictEqual(read(`{"response":"",${spelled}`), native)
    }
  })

  it("takes figures that are left out as zero, and says nothing from a total alone", () => {
    assert.deepStrictEqual(read(`{"done":true,"total_duration":5000000,"eval_count":1,"eval_duration":4000000}`), {
      promptTokens: undefined,
      answerTokens: 1,
      slotWaitMillis: 1,
    })
    const embedded = `{"embeddings":[[0.1]],"total_duration":5000000,"load_duration":1000000,"prompt_eval_count":7}`
    assert.deepStrictEqual(read(embedded), { promptTokens: 7, answerTokens: undefined, slotWaitMillis: undefined })
    assert.isUndefined(read(`{"done":true,"done_reason":"load"}`))
    assert.isUndefined(read())
  })

  it("never gives a negative wait", () => {
    assert.strictEqual(read(`{"total_duration":5,"eval_duration":9}`)?.slotWaitMillis, 0)
  })

  it("reads the token counts of the other dialects", () => {
    const openai = { promptTokens: 25, answerTokens: 2, slotWaitMillis: undefined }
    const counted = `"usage":{"prompt_tokens":25,"completion_tokens":2,"total_tokens":27}}`
    assert.deepStrictEqual(read(`{"choices":[],${counted}`), openai)
    assert.deepStrictEqual(read(`data: {"choices":[],${counted}\n\n`, "data: [DONE]\n\n"), openai)
    assert.deepStrictEqual(
      read(
        `data: {"delta":{},"usage":{"input_tokens": 25,"output_tokens":2}}\n\n`,
        `data: {"type":"message_stop"}\n\n`,
      ),
      openai,
    )
  })

  it("does not take generated text for figures", () => {
    const said = JSON.stringify({ response: `"total_duration":1,"eval_duration":1,"prompt_eval_count":99999` })
    assert.isUndefined(read(said))
    assert.deepStrictEqual(read(`${said.slice(0, -1)},${figures}`), native)
    const called = `{"message":{"tool_calls":[{"function":{"arguments":{"prompt_eval_count":9,"prompt_tokens":9}}}]},`
    assert.deepStrictEqual(read(called + figures), native)
  })

  it.prop(
    "does not depend on where chunks end, if the figures are in the last three",
    { cuts: Schema.Array(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 300 }))) },
    ({ cuts }) => {
      const text = `{"response":"${"é".repeat(50)}",${figures}`
      const [a, b] = cuts.slice(0, 2).map((cut) => Math.min(cut, text.length)).sort((x, y) => x - y)
      assert.deepStrictEqual(
        read(text.slice(0, a), text.slice(a ?? text.length, b), text.slice(b ?? text.length)),
        native,
      )
    },
    { arbitrary: { runs: 300, size: 10, seed: "final-line" } },
  )
})
