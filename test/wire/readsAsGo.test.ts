/**
 * What Go reads from a body, and so Ollama, which is written in it. Each right value here was printed by a program in
 * Go 1.26 (`encoding/json`, `mime/multipart`). The router may read the same or refuse; never something else. The
 * simulated Ollama reads the same.
 */
import { assert, describe, it } from "@effect/vitest"
import { Result } from "effect"
import { decode } from "../../src/simulated/go/decode.ts"
import { form } from "../../src/simulated/go/form.ts"
import { scan } from "../../src/wire/envelope.ts"
import { bytes, endpoint } from "./support.ts"

const refused = Symbol("refused")
type Read = string | typeof refused

/** Bytes that are written as characters. */
const raw = (text: string) => Uint8Array.from(text, (char) => char.charCodeAt(0))
const chat = endpoint("/api/chat")
const transcribe = endpoint("/v1/audio/transcriptions")

const byRouter = (body: Uint8Array, type?: string): Read => {
  const read = scan(body, type === undefined ? chat : transcribe, type)
  return "_tag" in read ? (assert.strictEqual(read.status, 400), refused) : read.model
}

const struct = { name: "ChatRequest", fields: { model: "string", stream: "*bool", options: "any" } } as const
const bySimulated = (body: Uint8Array): Read => {
  const read = decode(struct, new TextDecoder("utf-8", { ignoreBOM: true }).decode(body))
  return Result.isFailure(read) ? refused : (read.success["model"] ?? "") as string
}
const formBySimulated = (body: Uint8Array, type: string): Read => {
  const read = form(body, type)
  return Result.isFailure(read) ? refused : read.success.values.get("model") ?? ""
}

/** The body, what Go reads, and whether the router refuses it although Go does not. */
const json: ReadonlyArray<readonly [string, Read, "refused"?]> = [
  [`{"model":"a"}`, "a"],
  [`{"MODEL":"a"}`, "a"],
  [`{"mo\\u0064el":"a"}`, "a"],
  [`{"\\u004dODEL":"a"}`, "a"],
  [`{"model":"\\u0061"}`, "a"],
  [`{"model":"a/\\/b"}`, "a//b"],
  [`{"model":"a\\u0000b"}`, "a\0b"],
  [`{"model":"a\\ud800b"}`, "a\ufffdb"],
  [`{"model":"a\xffb"}`, "a\ufffdb"],
  [`{"model":"a\x7fb"}`, "a\x7fb"],
  // The last one counts, in whatever case. The router refuses what it would have to read twice.
  [`{"model":"good","model":"evil"}`, "evil", "refused"],
  [`{"model":"good","Model":"evil"}`, "evil", "refused"],
  [`{"Model":"evil","model":"good"}`, "good", "refused"],
  [`{"model":"evil","Model":"x","model":"good"}`, "good", "refused"],
  [`{"model":"good","MODEL":null}`, "good", "refused"],
  [`{"model":"good","model":null}`, "good", "refused"],
  // What comes behind the first value is not read.
  [`{"model":"a"} trailing`, "a"],
  [`{"model":"a"}{"model":"b"}`, "a"],
  [`{"model":"a"}\x00`, "a"],
  // Other keys.
  [`{"model\\u0000":"a"}`, ""],
  [`{"model ":"a"}`, ""],
  [`{"mod\xd0\xb5l":"a"}`, ""],
  [`{"":"x","model":"a"}`, "a"],
  [`{"a":"\\"model\\":\\"evil\\"","model":"good"}`, "good"],
  [`{"a":{"model":"evil"},"model":"good"}`, "good"],
  [`{"a":[{"model":"evil"},"]}"],"model":"good"}`, "good"],
  [`{"model":"good","options":{"model":"evil"}}`, "good"],
  // Other types, and no object.
  [`{"model":null}`, ""],
  [`null`, ""],
  [`{"model":1}`, refused],
  [`{"model":["a"]}`, refused],
  [`{"model":{"a":1}}`, refused],
  [`{"model":true}`, refused],
  [`[]`, refused],
  [`[{"model":"a"}]`, refused],
  [`"x"`, refused],
  [`7`, refused],
  // Not JSON.
  [`\xef\xbb\xbf{"model":"a"}`, refused],
  [`\x00{"model":"a"}`, refused],
  [`\x0b{"model":"a"}`, refused],
  [`\xa0{"model":"a"}`, refused],
  [`/*c*/{"model":"a"}`, refused],
  [`{"model":"a",}`, refused],
  [`{,"model":"a"}`, refused],
  [`{model:"a"}`, refused],
  [`{"model":'a'}`, refused],
  [`{"model":"a\nb"}`, refused],
  [`{"model":"a\\q"}`, refused],
  [`{"model":"a\\u00"}`, refused],
  [`{"model":"a"`, refused],
  [`{"model":"a" "b":1}`, refused],
  [`{"model":"a","model"}`, refused],
  [`{"model"::"a"}`, refused],
  [`{"model":"a","x":NaN}`, refused],
  [`{"model":"a","x":+1}`, refused],
  [``, refused],
  [` `, refused],
]

/** Go refuses them, and so does the backend. The router does not look into values that it does not read. */
const leftToTheBackend = [
  `{"model":"a","x":[}]}`,
  `{"model":"a","x":{]}}`,
  `{"model":"a","x":01}`,
  `{"model":"a","x":1.}`,
  `{"model":"a","x":"\\q"}`,
  `{"model":"a","x":${"[".repeat(10_001)}${"]".repeat(10_001)}}`,
]

const part = (disposition: string, value: string, more = "") =>
  `--b\r\nContent-Disposition: ${disposition}\r\n${more}\r\n${value}\r\n`
const plain = (value: string) => part(`form-data; name="model"`, value)
const file = part(`form-data; name="file"; filename="a.wav"`, "RIFF", "Content-Type: audio/wav\r\n")
const type = "multipart/form-data; boundary=b"
const end = "--b--\r\n"

const forms: ReadonlyArray<readonly [body: string, go: Read, router?: "refused" | undefined, type?: string]> = [
  [file + plain("a") + end, "a"],
  [plain("a") + "--b--", "a"],
  [plain("a") + "--b-- \t\r\nepilogue", "a"],
  ["preamble\r\n" + plain("a") + end, "a"],
  ["--bX\r\n--b--X\r\n" + plain("a") + end, "a"],
  [part("form-data; name=model", "a") + end, "a"],
  [part(`Form-Data ;NAME = "model" ;`, "a") + end, "a"],
  [part(`form-data; name="mod\\el"`, "a") + end, ""],
  [part(`form-data; name="model"; filename=""`, "a") + end, "a"],
  [plain("\xef\xbb\xbfa") + end, "\ufeffa"],
  [plain("") + end, ""],
  ["--b\r\n\r\nno head\r\n" + plain("a") + end, "a"],
  // Names that say the same in other bytes, before a plain one.
  [part("form-data; name*=utf-8''model", "evil") + plain("good") + end, "evil", "refused"],
  [part("form-data; name*=us-ascii'en'mod%65l", "evil") + plain("good") + end, "evil", "refused"],
  [part(`form-data; name*0="mo"; name*1="del"`, "evil") + plain("good") + end, "evil", "refused"],
  [part("form-data; name*0*=utf-8''mo; name*1=del", "evil") + plain("good") + end, "evil", "refused"],
  [part(`form-data; name="x"; name*=utf-8''model`, "evil") + plain("good") + end, "evil", "refused"],
  [part(`form-data; name="model"; name*=utf-8''x`, "x") + end, "", "refused"],
  [part(`form-data; name="model"; name="model"`, "evil") + plain("good") + end, "evil", "refused"],
  [part(`form-data; name="model"; name="x"`, "x") + end, "", "refused"],
  // A name in a name.
  [part(`form-data; name="x; name=model"`, "x") + plain("good") + end, "good"],
  [part(`form-data; filename="x; name=\\"model\\""; name="file"`, "x") + plain("good") + end, "good"],
  [part(`form-data; x="; name=model"; name="y"`, "x") + plain("good") + end, "good", "refused"],
  [part(`form-data; x=y; name="model"`, "evil") + plain("good") + end, "evil", "refused"],
  // A file is no value.
  [part(`form-data; name="model"; filename="x"`, "x") + plain("good") + end, "good"],
  [part(`form-data; name="file"; filename*=utf-8''a.wav`, "x") + plain("good") + end, "good", "refused"],
  [part(`attachment; name="model"`, "x") + plain("good") + end, "good", "refused"],
  [part("form-data; name=mo del", "x") + plain("good") + end, "good", "refused"],
  // Twice.
  [plain("evil") + plain("good") + end, "evil", "refused"],
  // Heads.
  [part(`form-data;\r\n name="model"`, "evil") + plain("good") + end, "evil", "refused"],
  [part(`form-data;\n\tname="model"`, "evil") + plain("good") + end, "evil", "refused"],
  [
    part(`form-data; name="model"`, "evil", `Content-Disposition: form-data; name="x"\r\n`) + plain("good") + end,
    "evil",
    "refused",
  ],
  [`--b\r\nContent-Disposition : form-data; name="model"\r\n\r\nx\r\n` + plain("good") + end, "good", "refused"],
  [`--b\r\nContent-Disposition: form-data; name="model"\n\nevil\r\n` + end, "evil"],
  [`--b\r\n folded\r\n\r\nx\r\n` + plain("good") + end, refused],
  [`--b\r\nno colon\r\n\r\nx\r\n` + plain("good") + end, refused],
  // Go decodes it.
  [
    part(`form-data; name="model"`, "=65vil", "Content-Transfer-Encoding: Quoted-Printable\r\n") + end,
    "evil",
    "refused",
  ],
  [part(`form-data; name="model"`, "a", "Content-Transfer-Encoding: 8bit\r\n") + end, "a"],
  // Where parts begin and end.
  [`x\n` + plain("evil") + plain("good") + end, "evil", "refused"],
  [`x\n` + plain("a") + end, "a"],
  [
    plain(`a\r\n--bX\r\nContent-Disposition: form-data; name="model"\r\n\r\nb`) + end,
    `a\r\n--bX\r\nContent-Disposition: form-data; name="model"\r\n\r\nb`,
  ],
  [plain("a\n--b\r\n") + end, "a\n--b\r\n"],
  [plain("a\r\n--b-") + end, "a\r\n--b-"],
  [`--b \t\r\nContent-Disposition: form-data; name="model"\r\n\r\na\r\n` + end, "a"],
  [`--b\r\nContent-Disposition: form-data; name="model"\r\n\r\n--b--`, ""],
  [plain("a").replaceAll("\r\n", "\n") + "--b--\n", "a"],
  [(plain("a\r\n") + end).replaceAll("\r\n", "\n").replace("a\n", "a\r\n"), "a\r\n"],
  [plain("a").replaceAll("\r\n", "\n") + end, refused],
  [plain("a") + "garbage\r\n" + end, "a\r\ngarbage"],
  [plain("a") + "--b--X\r\n", refused],
  [plain("a") + "--b", refused],
  [plain("a") + "--b\r\n", "a", "refused"],
  [end, ""],
  ["", refused],
  // The boundary.
  [plain("a") + end, "a", undefined, `Multipart/Form-Data ; charset=x; BOUNDARY="b";`],
  [plain("a") + end, "a", "refused", `multipart/form-data; boundary=b; boundary=b`],
  [plain("a") + end, refused, "refused", `multipart/form-data; boundary=b; boundary=c`],
  [plain("a") + end, "a", "refused", `multipart/form-data; boundary*=utf-8''b`],
  [plain("a") + end, "a", "refused", `multipart/form-data; boundary=c; boundary*0=b`],
  [plain("a") + end, "a", undefined, `multipart/form-data; x="; boundary=c"; boundary=b`],
  [plain("a") + end, refused, undefined, `multipart/mixed; boundary=b`],
  [plain("a") + end, refused, undefined, `multipart/form-datax; boundary=b`],
  [plain("a") + end, refused, undefined, `multipart/form-data; boundary=b c`],
  [plain("a") + end, refused, undefined, `multipart/form-data, multipart/form-data; boundary=b`],
  [plain("a") + end, refused, undefined, `multipart/form-data; boundary=""`],
  [plain("a") + end, refused, undefined, `multipart/form-data`],
  [plain("a") + end, refused, undefined, ``],
]

const shown = (text: string) => JSON.stringify(text.length > 120 ? `${text.slice(0, 120)}…` : text)

describe("the router and the simulated Ollama read a body as Go does", () => {
  it("JSON", () => {
    for (const [body, go, router] of json) {
      assert.strictEqual(bySimulated(raw(body)), go, `simulated: ${shown(body)}`)
      assert.strictEqual(byRouter(raw(body)), router === undefined ? go : refused, `router: ${shown(body)}`)
    }
  })

  it("JSON that the backend refuses, not the router", () => {
    for (const body of leftToTheBackend) {
      assert.strictEqual(bySimulated(raw(body)), refused, shown(body))
      assert.include(["a", refused], byRouter(raw(body)), shown(body))
    }
  })

  it("forms", () => {
    for (const [body, go, router, of = type] of forms) {
      const why = `${shown(body)} as ${of}`
      assert.strictEqual(formBySimulated(raw(body), of), go, `simulated: ${why}`)
      assert.strictEqual(byRouter(raw(body), of), router === undefined ? go : refused, `router: ${why}`)
    }
  })

  it("options in their exact spelling only: they are a map, not a struct", () => {
    const read = (body: string) => {
      const found = scan(bytes(body), chat)
      return "_tag" in found ? refused : found.numCtx
    }
    assert.strictEqual(read(`{"model":"a","options":{"NUM_CTX":5,"num_ctx":7}}`), 7)
    assert.strictEqual(read(`{"model":"a","options":{"Num_Ctx":5}}`), undefined)
    assert.strictEqual(read(`{"model":"a","options":{"num_\\u0063tx":1e3}}`), 1000)
    assert.strictEqual(read(`{"model":"a","OPTIONS":{"num_ctx":5}}`), 5)
    assert.strictEqual(read(`{"model":"a","options":{"num_ctx":1,"num_ctx":2}}`), refused)
  })

  it("no field of an embedding call that Ollama does not have", () => {
    const read = scan(bytes(`{"model":"a","input":"x","stream":"yes","shift":7}`), endpoint("/api/embed"))
    assert.isFalse("_tag" in read)
    if (!("_tag" in read)) assert.deepStrictEqual([read.stream, read.runnerOptions], [undefined, []])
  })

  it("in time that grows with the body only", () => {
    const blanks = " \t".repeat(200_000)
    const before = performance.now()
    for (const disposition of [`form-data${blanks}x; name="a"`, `form-data; name="a"${blanks}x`, `a;${blanks};`]) {
      byRouter(raw(part(disposition, "x") + end), type)
    }
    assert.isBelow(performance.now() - before, 2000)
  })
})
