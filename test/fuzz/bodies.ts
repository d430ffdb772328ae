/** Bodies as no client would send them: JSON and forms, damaged, compressed, and labelled as something else. */
import * as fc from "fast-check"
import { brotliCompressSync, deflateSync, gzipSync, zstdCompressSync } from "node:zlib"
import * as SimulatedFleet from "../../src/simulated/SimulatedFleet.ts"
import { edited, edits, latin1, type Made, offset, place, rarely } from "./arbitraries.ts"

const models = [
  "mistral:7b",
  "LLAMA3.1:8B",
  "nope",
  "",
  "a b",
  "llama3.1:8b\\u0000",
  "../x",
  "x:cloud",
  "\xff",
]

const values = [
  "null",
  "true",
  "0",
  "-1",
  "1e999",
  `""`,
  `"hi"`,
  `"0"`,
  `"5m"`,
  `"\\ud800"`,
  "[]",
  "{}",
  "[1,2]",
  `["a","b"]`,
  `{"num_ctx":4096}`,
  `{"num_ctx":"x"}`,
  `{"NUM_CTX":1}`,
  `{"num_gpu":1,"num_batch":7}`,
  `{"temperature":0,"seed":1}`,
  `[{"role":"user","content":"hi"}]`,
  `[{"role":"user","content":"hi","images":["AAAA"]},{"role":"assistant","thinking":"x","tool_calls":[{}]}]`,
]

const value: fc.Arbitrary<string> = fc.oneof(
  { withCrossShrink: true },
  { weight: 20, arbitrary: fc.constantFrom(...values) },
  { weight: 1, arbitrary: fc.nat({ max: 3000 }).map((length) => `"${"y".repeat(length)}"`) },
  { weight: 1, arbitrary: fc.nat({ max: 12_000 }).map((depth) => "[".repeat(depth) + "]".repeat(depth)) },
)

const keys = [
  "x",
  "model",
  "Model",
  "options",
  "keep_alive",
  "stream",
  "system",
  "tools",
  "format",
  "shift",
  "input",
  "prompt",
  "truncate",
]

const fields = fc.record({
  modelKey: rarely(8, "model", fc.constantFrom("Model", "mo\\u0064el", "MODEL", "name")),
  model: rarely(5, undefined, fc.constantFrom(...models)),
  stream: rarely(2, undefined, fc.constantFrom("true", "false", "null", "1")),
  more: rarely(
    4,
    [],
    fc.array(fc.record({ key: fc.constantFrom(...keys), value, at: fc.nat({ max: 5 }) }), {
      maxLength: 2,
      size: "max",
    }),
  ),
  tokens: rarely(4, 3, fc.constant(25)),
  comma: rarely(3, ",", fc.constantFrom(", ", ",\n")),
  after: rarely(15, "", fc.constantFrom("\n", " trailing", `{"model":"nope"}`)),
})

const prompt = (path: string): string =>
  path.includes("embed") || path.endsWith("responses")
    ? `"input":"hi"`
    : path.includes("chat") || path.endsWith("messages")
    ? `"messages":[{"role":"user","content":"hi"}]`
    : `"prompt":"hi"`

type Fields = Made<typeof fields>

const json = (path: string, { after, comma, model, modelKey, more, stream, tokens }: Fields): string => {
  const usual = path.includes("embed") ? SimulatedFleet.Model.embedder.name : "llama3.1:8b"
  const limits = [`"max_tokens":${tokens}`, `"options":{"num_predict":${tokens}}`]
  const members = [`"${modelKey}":"${model ?? usual}"`, prompt(path), ...limits]
  if (stream !== undefined) members.push(`"stream":${stream}`)
  for (const { at, key, value } of more) members.splice(at, 0, `"${key}":${value}`)
  return `{${members.join(comma)}}${after}`
}

const dispositions = [
  `form-data; name="model"`,
  `form-data; name=model`,
  `form-data; name="file"; filename="a.wav"`,
  `form-data; name="prompt"`,
  `form-data; name="stream"`,
  `form-data; name*=utf-8''model`,
  `form-data; name*0="mo"; name*1="del"`,
  `form-data; name="x; name=model"`,
  `form-data; name="model"; filename="x"`,
  `form-data;\r\n name="model"`,
  `attachment; name="model"`,
]

const part = fc.record({
  disposition: fc.constantFrom(...dispositions),
  quoted: rarely(5, "", fc.constant("Content-Transfer-Encoding: quoted-printable\r\n")),
  data: fc.constantFrom("llama3.1:8b", "mistral:7b", "nope", "", "=6eope", "RIFF\r\n--bX"),
}).map(({ data, disposition, quoted }) => `--b\r\nContent-Disposition: ${disposition}\r\n${quoted}\r\n${data}\r\n`)

const form: fc.Arbitrary<string> = fc.record({
  before: rarely(2, "", fc.constantFrom("pre\r\n", "pre\n")),
  parts: fc.array(part, { maxLength: 4, size: "max" }),
  end: rarely(3, "--b--\r\n", fc.constantFrom("--b--", "--b", "")),
}).map(({ before, end, parts }) => before + parts.join("") + end)

const compress = {
  gzip: gzipSync,
  "x-gzip": gzipSync,
  deflate: deflateSync,
  br: brotliCompressSync,
  zstd: zstdCompressSync,
}

const encoding = fc.record({
  name: fc.constantFrom(...Object.keys(compress) as Array<keyof typeof compress>),
  /** A megabyte in a few hundred bytes. */
  isBomb: rarely(6, false, fc.constant(true)),
  kept: rarely(5, undefined, place),
  also: rarely(8, undefined, fc.constantFrom("gzip", "identity", "zstd")),
})

const mislabelled = fc.constantFrom("identity", "gzip", "lzma", "gzip, gzip")

/** What a body is made of. Its path decides what it says. */
export const parts = fc.record({
  /** A form where JSON is usual, and JSON where a form is. */
  isOdd: rarely(20, false, fc.constant(true)),
  fields,
  form,
  type: rarely(3, undefined, fc.constantFrom("text/plain", undefined)),
  formType: rarely(
    8,
    "multipart/form-data; boundary=b",
    fc.constantFrom(
      `multipart/form-data; boundary="b"`,
      "multipart/form-data; boundary*=utf-8''b",
      "multipart/form-data",
    ),
  ),
  damage: rarely(8, [], edits),
  blanks: rarely(40, 0, fc.integer({ min: 40_000, max: 100_000 })),
  encoding: rarely(8, undefined, encoding),
  label: rarely(30, undefined, mislabelled),
})

export interface Body {
  readonly sent: Buffer
  readonly headers: ReadonlyArray<string>
  /** What the body is without its encoding; `undefined` where it cannot be decoded. */
  readonly plain: Buffer | undefined
}

/** The bytes of a body, and the headers that describe it. */
export const body = (path: string, made: Made<typeof parts>): Body => {
  const isForm = path.includes("audio") !== made.isOdd
  const text = edited(isForm ? made.form : json(path, made.fields), made.damage)
  const plain = latin1(" ".repeat(made.blanks) + text)
  const type = isForm ? made.formType : made.type === undefined ? "application/json" : made.type
  const headers = [`Content-Type: ${type}`]
  if (made.encoding === undefined) {
    if (made.label !== undefined) headers.push(`Content-Encoding: ${made.label}`)
    return { sent: plain, headers, plain: made.label === undefined || made.label === "identity" ? plain : undefined }
  }
  const { also, isBomb, kept, name } = made.encoding
  const whole = compress[name](isBomb ? Buffer.alloc(1_000_000, "{") : plain)
  headers.push(`Content-Encoding: ${name}`)
  if (also !== undefined) headers.push(`Content-Encoding: ${also}`)
  return {
    sent: kept === undefined ? whole : whole.subarray(0, offset(kept, whole.length)),
    headers,
    plain: isBomb || kept !== undefined || also !== undefined ? undefined : plain,
  }
}
