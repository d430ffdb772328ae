/** The end of a stream in any legal spelling, in every dialect, however its bytes are cut. */
import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import * as Terminator from "../../../src/layers/relay/terminator.ts"
import type { StreamEnd } from "../../../src/services/RoutedRequest.ts"
import { bytes } from "../../support/sinks.ts"
import type { ChunkList } from "../../../src/support/chunkList.ts"

type Case = readonly [says: string, stream: string, ending: Terminator.Ending]

/** Pieces of a stream, at most `size` bytes each. */
const pieces = (stream: string, size: number): ReadonlyArray<Uint8Array> => {
  const all = bytes(stream)
  const count = Math.ceil(all.length / size)
  return Array.from({ length: count }, (_, i) => all.subarray(i * size, (i + 1) * size))
}

const endingOf = (streamEnd: StreamEnd, chunks: ReadonlyArray<Uint8Array>): Terminator.Ending => {
  const terminator = Terminator.make(streamEnd)
  for (const chunk of chunks) terminator.push(chunk)
  return terminator.end()
}

const check = (streamEnd: StreamEnd, cases: ReadonlyArray<Case>): void => {
  for (const [says, stream, ending] of cases) {
    it(`${says}: ${ending}`, () => {
      for (const size of [1, 2, 3, 7, 64, 4096, 100_000, stream.length + 1]) {
        if (stream.length / size > 100_000) continue
        assert.strictEqual(endingOf(streamEnd, pieces(stream, size)), ending, `in pieces of ${size}`)
      }
    })
  }
}

const begun = `{"model":"m","message":{"role":"assistant","content":"x"},"done":false}\n`
const long = "1,".repeat(100_000) + "1"
const nestedDone = `{"message":{"tool_calls":[{"function":{"name":"f","arguments":{"done":true}}}]},"done":false}`

describe("newline-delimited JSON", () => {
  check("done-true", [
    ["a blank after the colon, as Python writes it", `${begun}{"model": "m", "done": true}\n`, "whole"],
    ["blanks and tabs everywhere", `${begun} { "done"\t:\t true , "x" : [ 1 ] } \n`, "whole"],
    ["CRLF line ends", `${begun.replace("\n", "\r\n")}{"done":true}\r\n`, "whole"],
    ["CR line ends", `${begun.replace("\n", "\r")}{"done":true}\r`, "whole"],
    ["no line end after the last record", `${begun}{"done":true}`, "whole"],
    ["empty lines after it", `${begun}{"done":true}\n\n\r\n\n`, "whole"],
    ["an escape in the key", `${begun}{"\\u0064one":true}\n`, "whole"],
    ["every letter of the key escaped", `${begun}{"\\u0064\\u006F\\u006e\\u0065":true}\n`, "whole"],
    ["done as the first key", `${begun}{"done":true,"response":"\\"done\\":false","x":{"done":false}}\n`, "whole"],
    ["the figures before done", `${begun}{"eval_count":3,"context":[1,2],"done": true}\n`, "whole"],
    ["a long context after done", `${begun}{"done":true,"context":[${long}],"total_duration":1}\n`, "whole"],
    ["a long context before done", `${begun}{"context":[${long}],"done": true}\n`, "whole"],
    ["a long text after done", `${begun}{"done":true,"image":"${'A\\"{'.repeat(300_000)}"}\n`, "whole"],
    ["the only record", `{"model":"m","done":true,"done_reason":"load"}`, "whole"],
    ["the last of two fields with one name counts", `{"done":false,"done":true}\n`, "whole"],
    ["a tool argument done, in a record that is not done", `${begun}${nestedDone}\n`, "cut"],
    ["the same in the text of a tool call", `${begun}{"message":{"content":"\\"done\\":true"},"done":false}\n`, "cut"],
    ["done nested in a list", `${begun}{"x":[{"done":true}],"done":false}\n`, "cut"],
    ["done nested, and not at the top level", `${begun}{"x":{"done":true}}\n`, "cut"],
    ["a long nested list of done", `{"x":[${`{"done":true},`.repeat(100_000)}0],"done":false}\n`, "cut"],
    ["a list of records", `${begun}[{"done":true}]\n`, "cut"],
    ["done as a text", `${begun}{"done":"true"}\n`, "cut"],
    ["done as a number", `${begun}{"done":1}\n`, "cut"],
    ["another key that ends in done", `${begun}{"undone":true}\n`, "cut"],
    ["a record that stops before its end", `${begun}{"done":true`, "cut"],
    ["a long record that stops before its end", `${begun}{"done":true,"context":[${long}`, "cut"],
    ["a record in the middle of a text", `${begun}{"done":true,"x":"y`, "cut"],
    ["a record after the last one that stops", `{"done":true}\n{"response":"x`, "cut"],
    ["not JSON", `${begun}"done":true\n`, "cut"],
    ["only a comma too many", `${begun}{"done":true,}\n`, "cut"],
    ["a broken record, then the last one", `{"x":"y\n{"done":true}\n`, "whole"],
    ["nothing but line ends", "\n\n", "cut"],
    ["nothing", "", "cut"],
    ["an error", `${begun}{"error":"x"}\n`, "error"],
    ["an error with blanks", `${begun}{ "error" : "x" }\r\n`, "error"],
    ["an error that is not the first key", `${begun}{"status":500,"error":{"message":"x"}}\n`, "error"],
    ["an error beside done", `${begun}{"done":true,"error":"x"}\n`, "error"],
    ["a long error", `${begun}{"error":"${"x".repeat(300_000)}"}`, "error"],
    ["an error that says nothing", `${begun}{"error":null,"done":true}\n`, "whole"],
    ["an empty error", `${begun}{"error":"","done":true}\n`, "whole"],
    ["an error in the text", `${begun}{"message":{"error":"x"},"done":false}\n`, "cut"],
  ])
})

describe("OpenAI's chat and completions", () => {
  const chunk = `data: {"choices":[{"delta":{"content":"x"}}]}`
  check("done-marker", [
    ["as Ollama writes it", `${chunk}\n\ndata: [DONE]\n\n`, "whole"],
    ["no blank after the colon", `${chunk}\n\ndata:[DONE]\n\n`, "whole"],
    ["CRLF", `${chunk}\r\n\r\ndata: [DONE]\r\n\r\n`, "whole"],
    ["CR", `${chunk}\r\rdata: [DONE]\r\r`, "whole"],
    ["LF and CRLF mixed", `${chunk}\n\r\ndata: [DONE]\r\n\n`, "whole"],
    ["a byte order mark", `\uFEFFdata: [DONE]\n\n`, "whole"],
    ["without the last empty line", `${chunk}\n\ndata: [DONE]`, "whole"],
    ["a comment after it", `${chunk}\n\ndata: [DONE]\n\n: bye\n\n`, "whole"],
    ["many comments after it", `data: [DONE]\n\n${": keep-alive\n\n".repeat(10_000)}`, "whole"],
    ["a comment that is not complete after it", `data: [DONE]\n\n: by`, "whole"],
    ["an id and a retry after it", `${chunk}\n\ndata: [DONE]\n\nid: 7\nretry: 10\n\n`, "whole"],
    ["an event without data after it", `data: [DONE]\n\nevent: ping\n\n`, "whole"],
    ["ids, names and comments around it", `id: 1\n: c\nevent: x\ndata: [DONE]\nretry: 3\n\n`, "whole"],
    ["in generated text", `${chunk.replace("x", "data: [DONE]")}\n\n`, "cut"],
    ["in a comment", `${chunk}\n\n: data: [DONE]\n\n`, "cut"],
    ["in another field", `${chunk}\n\nevent: [DONE]\n\n`, "cut"],
    ["with a blank before the name", `${chunk}\n\n data: [DONE]\n\n`, "cut"],
    ["as one of several lines of data", `${chunk}\n\ndata: x\ndata: [DONE]\n\n`, "cut"],
    ["before another chunk", `data: [DONE]\n\n${chunk}\n\n`, "cut"],
    ["in JSON", `${chunk}\n\ndata: "[DONE]"\n\n`, "cut"],
    ["only a part of it", `${chunk}\n\ndata: [DON`, "cut"],
    ["nothing", "", "cut"],
    ["an error", `${chunk}\n\ndata: {"error":{"message":"x"}}\n\n`, "error"],
    ["an error without a blank", `${chunk}\n\ndata:{ "error" : {"message":"x"}}\r\n\r\n`, "error"],
    ["an error in two lines of data", `${chunk}\n\ndata: {"error":\ndata: {"message":"x"}}\n\n`, "error"],
    ["a named error", `${chunk}\n\nevent: error\ndata: {"message":"x"}\n\n`, "error"],
    ["no error", `data: {"choices":[],"error":null}\n\n`, "cut"],
  ])
})

describe("Anthropic's messages", () => {
  const delta = `event: content_block_delta\ndata: {"type":"content_block_delta","delta":{"text":"x"}}\n\n`
  const stop = `event: message_stop\ndata: {"type":"message_stop"}\n\n`
  check("message-stop", [
    ["as Ollama writes it", delta + stop, "whole"],
    ["blanks in the data", `${delta}event: message_stop\ndata: {"type": "message_stop"}\n\n`, "whole"],
    ["CRLF", (delta + stop).replaceAll("\n", "\r\n"), "whole"],
    ["CR", (delta + stop).replaceAll("\n", "\r"), "whole"],
    ["no blanks after colons", (delta + stop).replaceAll(": ", ":"), "whole"],
    ["the name after the data", `${delta}data: {"type" : "message_stop"}\nevent: message_stop\n\n`, "whole"],
    ["no name", `${delta}data: {"type":"message_stop"}\n\n`, "whole"],
    ["only a name", `${delta}event: message_stop\ndata: {}\n\n`, "whole"],
    ["in several lines of data", `${delta}data: {\ndata:  "type":\ndata: "message_stop"\ndata: }\n\n`, "whole"],
    ["another field first", `${delta}data: {"x":{"type":"y"},"type":"message_stop"}\n\n`, "whole"],
    ["with escapes", `${delta}data: {"ty\\u0070e":"message\\u005fstop"}\n\n`, "whole"],
    ["a comment between", `${delta}: ping\n\n${stop}: bye\n\n`, "whole"],
    ["in the text", delta.replace(`"x"`, `"\\"type\\":\\"message_stop\\""`), "cut"],
    ["nested", delta.replace(`"x"`, `{"type":"message_stop"}`), "cut"],
    ["a name whose data says otherwise", `event: message_stop\ndata: {"type":"ping"}\n\n`, "cut"],
    ["a name without data", `${delta}event: message_stop\n\n`, "cut"],
    ["a line break in a text", `${delta}data: {"x":"\ndata: ","type":"message_stop"}\n\n`, "cut"],
    ["an error", `${delta}event: error\ndata: {"type":"error","error":{"type":"api_error"}}\n\n`, "error"],
    ["an error with blanks", `${delta}event:error\r\ndata:{ "error" : {}, "type" : "error" }\r\n\r\n`, "error"],
  ])
})

describe("OpenAI's responses", () => {
  const delta = `event: response.output_text.delta\ndata: {"type":"response.output_text.delta","delta":"x"}\n\n`
  const end = (type: string, more = `"response":{"error":null}`) =>
    `event: ${type}\ndata: {${more},"type":"${type}"}\n\n`
  check("response-completed", [
    ["completed", delta + end("response.completed"), "whole"],
    ["incomplete", delta + end("response.incomplete"), "whole"],
    ["completed, with blanks", delta + end("response.completed").replaceAll(`":"`, `" : "`), "whole"],
    ["completed, CRLF", (delta + end("response.completed")).replaceAll("\n", "\r\n"), "whole"],
    ["completed, with a long text", delta + end("response.completed", `"r":{"t":"${"x".repeat(400_000)}"}`), "whole"],
    ["completed, the type first", `${delta}data: {"type":"response.completed","r":[${long}]}\n\n`, "whole"],
    ["completed, then [DONE]", `${delta + end("response.completed")}data: [DONE]\n\n`, "whole"],
    ["failed", delta + end("response.failed", `"response":{"error":{"code":"server_error"}}`), "error"],
    ["failed, with blanks", delta + end("response.failed").replaceAll(`":`, `" : `), "error"],
    ["an error", `${delta}event: error\ndata: {"type":"error","message":"x"}\n\n`, "error"],
    ["an error in the shape of chat", `${delta}data: {"error":{"message":"x"}}\n\n`, "error"],
    ["in progress", delta + end("response.in_progress"), "cut"],
    ["in the text", delta.replace(`"x"`, `"\\"type\\":\\"response.completed\\""`), "cut"],
    ["in a nested object", `${delta}data: {"response":{"type":"response.completed"},"type":"x"}\n\n`, "cut"],
  ])
})

const records: Readonly<Record<string, readonly [StreamEnd, ReadonlyArray<string>, string]>> = {
  native: ["done-true", [begun, `{"done" : false}\r\n`, `${nestedDone}\n`, "\n"], `{"done" : true}\r\n`],
  chat: ["done-marker", [`data:{"a":1}\r\n\r\n`, ": c\n\n", `id: 1\n\n`, `data: x\n\n`], `data:[DONE]\r\r`],
}

for (const [name, [streamEnd, before, last]] of Object.entries(records)) {
  it.prop(
    `${name}: does not depend on what came before, nor on where chunks end`,
    {
      picks: Schema.Array(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: before.length - 1 }))),
      cuts: Schema.Array(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 500 }))),
      whole: Schema.Boolean,
    },
    ({ cuts, picks, whole }) => {
      const stream = picks.map((pick) => before[pick]).join("") + (whole ? last : "")
      const all = bytes(stream)
      const at = [0, ...cuts.map((cut) => cut % (all.length + 1)).sort((a, b) => a - b), all.length]
      const chunks = at.slice(1).map((end, i) => all.subarray(at[i], end))
      assert.strictEqual(endingOf(streamEnd, chunks), whole ? "whole" : "cut", JSON.stringify(stream))
    },
    { arbitrary: { runs: 500, size: 20, seed: name } },
  )
}

it("keeps little of a long stream, whatever its records and however they are cut", () => {
  for (const size of [1, 100, 16_384]) {
    const terminator = Terminator.make("done-marker")
    const stream = bytes(`data: {"x":"${"x".repeat(90)}"}\r\n\r\n`.repeat(5000))
    for (let at = 0; at < stream.length; at += size) terminator.push(stream.subarray(at, at + size))
    const { chunks } = terminator as unknown as { readonly chunks: ChunkList }
    assert.isAtMost(chunks.all().reduce((sum, chunk) => sum + chunk.length, 0), 64 * 1024)
  }
})
