/** The envelope of a form. */
import { assert, describe, it } from "@effect/vitest"
import { scan } from "../../src/wire/envelope.ts"
import { rewrite } from "../../src/wire/splice.ts"
import { bytes, endpoint, text } from "./support.ts"

const of = endpoint("/v1/audio/transcriptions")
const type = "multipart/form-data; boundary=----b1"
const form = (...parts: ReadonlyArray<string>) =>
  bytes(`${parts.map((part) => `------b1\r\n${part}\r\n`).join("")}------b1--\r\n`)
const field = (name: string, value: string) => `Content-Disposition: form-data; name=${name}\r\n\r\n${value}`
const model = field(`"model"`, "whisper")
const file =
  'Content-Disposition: form-data; name="file"; filename="a.wav"\r\nContent-Type: audio/wav\r\n\r\n\r\n--\r\n--x'

const read = (body: Uint8Array, contentType = type) => {
  const envelope = scan(body, of, contentType)
  if ("_tag" in envelope) throw new Error(envelope.message)
  return envelope
}
const refusal = (body: Uint8Array, contentType = type) => {
  const refused = scan(body, of, contentType)
  return "_tag" in refused ? [refused.status, refused.message] : undefined
}

describe("multipart", () => {
  it("reads the model, and a rewrite replaces its bytes only", () => {
    const body = form(file, model)
    const envelope = read(body)
    assert.strictEqual(envelope.model, "whisper")
    const rewritten = rewrite(body, envelope, of, { model: "other" })
    assert.strictEqual(text(rewritten.body), text(body).replace("whisper", "other"))
    assert.strictEqual(read(rewritten.body).model, "other")
  })

  it("reads stream and the length of the prompt", () => {
    const { promptBytes, stream } = read(form(model, field("stream", "true"), field("prompt", "four")))
    assert.deepStrictEqual([stream, promptBytes], [true, 4])
    assert.isFalse(read(form(model, field("stream", "1"))).stream)
  })

  it("takes names and boundaries with or without quotes, and text before the first part", () => {
    assert.strictEqual(read(form(field("model", "a"))).model, "a")
    assert.strictEqual(read(form(model), `Multipart/Form-Data; charset=x; boundary="----b1"`).model, "whisper")
    assert.strictEqual(read(bytes(`preamble\r\n${text(form(model))}`)).model, "whisper")
  })

  it("takes an empty value", () => {
    const envelope = read(form(field("model", "")))
    assert.strictEqual(envelope.model, "")
    assert.strictEqual(envelope.modelSpan?.start, envelope.modelSpan?.end)
  })

  it("refuses a field that comes twice: a client could pass an allow-list with the first one", () => {
    assert.deepStrictEqual(refusal(form(model, model)), [400, `duplicate field "model"`])
    assert.deepStrictEqual(refusal(form(field("stream", ""), field("stream", ""))), [400, `duplicate field "stream"`])
  })

  it("refuses a body that is no form, in Go's words", () => {
    const body = form(file, model)
    assert.deepStrictEqual(refusal(body, "application/json"), [
      400,
      "request Content-Type isn't multipart/form-data",
    ])
    assert.deepStrictEqual(refusal(bytes("")), [400, "missing request body"])
    for (const part of [body.subarray(0, 60), bytes("hello"), body.subarray(0, body.length - 6)]) {
      assert.deepStrictEqual(refusal(part), [400, "multipart: NextPart: EOF"])
    }
  })

  it("refuses a boundary that would make the search slow", () => {
    const dashes = "-".repeat(30_000)
    assert.deepStrictEqual(refusal(bytes(dashes.repeat(10)), `multipart/form-data; boundary=${dashes}b`), [
      400,
      "multipart: boundary too long",
    ])
  })
})
