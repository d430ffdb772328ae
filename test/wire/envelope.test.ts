import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { scan } from "../../src/wire/envelope.ts"
import { rewrite } from "../../src/wire/splice.ts"
import { bytes, endpoint, type Random, random, text } from "./support.ts"

const chat = endpoint("/api/chat")
const generate = endpoint("/api/generate")

const read = (body: string | Uint8Array, of = chat) => {
  const envelope = scan(typeof body === "string" ? bytes(body) : body, of)
  if ("_tag" in envelope) throw new Error(envelope.message)
  return envelope
}

const wrong = (body: string | Uint8Array, of = generate) => {
  const envelope = scan(typeof body === "string" ? bytes(body) : body, of)
  if (!("_tag" in envelope)) throw new Error("no refusal")
  assert.strictEqual(envelope.status, 400)
  return envelope.message
}

/** The JSON text of a value, with random white space, escapes and letter case of keys. */
const spell = (value: unknown, rng: Random, caseOf: (key: string) => string = (key) => key): string => {
  const space = () => rng.pick(["", "", "", " ", "\n", "\t ", "\r\n"])
  const string = (of: string) =>
    `"${
      [...of].map((char) => {
        const plain = JSON.stringify(char).slice(1, -1)
        return rng.below(8) > 0 || char.length > 1 ? plain : `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`
      }).join("")
    }"`
  const go = (of: unknown, top: boolean): string => {
    if (typeof of === "string") return string(of)
    if (Array.isArray(of)) {
      return `[${space()}${of.map((item) => go(item, false)).join(`${space()},${space()}`)}${space()}]`
    }
    if (typeof of === "object" && of !== null) {
      const members = Object.entries(of).map(([key, item]) =>
        `${space()}${string(top ? caseOf(key) : key)}${space()}:${space()}${go(item, false)}${space()}`
      )
      return `{${members.join(",")}${members.length === 0 ? space() : ""}}`
    }
    return JSON.stringify(of)
  }
  return space() + go(value, true) + space()
}

const words = [
  "",
  "a",
  "llama3.1:8b",
  'say "hi"',
  "back\\slash",
  "\\",
  '\\"',
  "}{][,:",
  "héé ✓ 😀",
  "\u0000\n",
  "x".repeat(300),
]

const anything = (rng: Random, depth: number): unknown => {
  switch (rng.below(depth > 3 ? 4 : 6)) {
    case 0:
      return rng.pick(words)
    case 1:
      return rng.pick([0, -1, 1.5, 1e21, 42])
    case 2:
      return rng.pick([true, false])
    case 3:
      return null
    case 4:
      return Array.from({ length: rng.below(4) }, () => anything(rng, depth + 1))
    default:
      return Object.fromEntries(
        Array.from(
          { length: rng.below(4) },
          (_, i) => [rng.pick(["model", "x", 'q"', "stream", "é"]) + i, anything(rng, depth + 1)],
        ),
      )
  }
}

const call = (rng: Random): Record<string, unknown> => {
  const members: Array<[string, unknown]> = []
  const maybe = (key: string, value: () => unknown) =>
    rng.below(3) > 0 && members.push([key, rng.below(8) === 0 ? null : value()])
  maybe("model", () => rng.pick(words))
  maybe("stream", () => rng.pick([true, false]))
  maybe("keep_alive", () => rng.pick(["5m", -1, 0, "1h30m"]))
  maybe("messages", () => rng.pick<unknown>([[], [{ role: "user", content: rng.pick(words) }], [anything(rng, 0)]]))
  maybe("shift", () => rng.pick([true, false]))
  maybe("system", () => rng.pick(words))
  maybe("tools", () => [anything(rng, 0)])
  maybe("options", () => ({
    ...(rng.below(2) === 0 ? { num_ctx: rng.pick([2048, 8192, 4096.9]) } : {}),
    ...(rng.below(4) === 0 ? { num_thread: rng.pick([2, null]), use_mmap: false, num_gpu: 1e1 } : {}),
    temperature: 0.5,
    stop: ["\n"],
  }))
  for (let i = rng.below(4); i > 0; i--) {
    members.push([`${rng.pick(["format", "modeling", "x", "opt"])}${i}`, anything(rng, 0)])
  }
  return Object.fromEntries(members.sort(() => rng.next() - 0.5))
}

/** The options that make Ollama load a model again. `null` counts as absent. */
const runnerOptions = ({ options, shift }: Record<string, unknown>): ReadonlyArray<readonly [string, unknown]> =>
  [
    ...Object.entries(options ?? {}).filter(([key]) => ["num_thread", "use_mmap", "num_gpu"].includes(key)),
    ["shift", shift] as const,
  ].filter(([, value]) => value !== null && value !== undefined)

const anyCase = (rng: Random) => (key: string) =>
  [...key].map((char) => rng.below(2) === 0 ? char : char.toUpperCase()).join("")

describe("envelope", () => {
  it.effect.prop(
    "has the values that JSON.parse gives, for any spelling of a body",
    { seed: Schema.Int },
    ({ seed }) =>
      Effect.sync(() => {
        const rng = random(seed)
        const value = call(rng)
        const body = spell(value, rng, anyCase(rng))
        const envelope = read(body)
        const options = value["options"] as { readonly num_ctx?: number } | null | undefined
        assert.strictEqual(envelope.model, value["model"] ?? "")
        assert.strictEqual(envelope.stream, value["stream"] ?? undefined)
        assert.strictEqual(envelope.numCtx, options?.num_ctx === undefined ? undefined : Math.trunc(options.num_ctx))
        const found = envelope.runnerOptions.map((
          { end, name, start },
        ) => [name, JSON.parse(text(bytes(body).subarray(start, end)))])
        assert.deepStrictEqual(Object.fromEntries(found), Object.fromEntries(runnerOptions(value)))
        const keepAlive = value["keep_alive"] ?? undefined
        assert.deepStrictEqual(envelope.keepAlive === undefined ? undefined : JSON.parse(envelope.keepAlive), keepAlive)
        assert.strictEqual(envelope.emptyPrompt, ((value["messages"] ?? []) as Array<unknown>).length === 0)
        if (envelope.modelSpan !== undefined) {
          const { end, start } = envelope.modelSpan
          assert.deepStrictEqual(JSON.parse(text(bytes(body).subarray(start, end))), value["model"])
        }
      }),
    { arbitrary: { runs: 1000, size: 20, seed: "envelope" } },
  )

  it.effect.prop(
    "rewrites the changed values only, and no other byte",
    { seed: Schema.Int },
    ({ seed }) =>
      Effect.sync(() => {
        const rng = random(seed)
        const value = call(rng)
        const body = bytes(spell(value, rng))
        const changes = {
          ...(rng.below(2) === 0 ? { model: rng.pick(['other"é', "m"]) } : {}),
          ...(rng.below(2) === 0 ? { stream: rng.below(2) === 0 } : {}),
          ...(rng.below(2) === 0 ? { numCtx: rng.pick([null, 4096]) } : {}),
          ...(rng.below(2) === 0 ? { keepAlive: rng.pick([null, "-1", '"5m"']) } : {}),
          ...(rng.below(2) === 0 ? { runnerOptions: null } : {}),
        }
        const made = rewrite(body, read(body), chat, changes)
        const again = read(made.body)
        const parsed = JSON.parse(text(made.body))
        assert.deepStrictEqual({ ...made.envelope }, { ...again, promptBytes: made.envelope.promptBytes })
        if (changes.model !== undefined) assert.strictEqual(parsed.model, changes.model)
        if (changes.stream !== undefined) assert.strictEqual(parsed.stream, changes.stream)
        if (typeof changes.numCtx === "number") assert.strictEqual(parsed.options.num_ctx, changes.numCtx)
        if (changes.numCtx === null) assert.isUndefined(again.numCtx)
        if (typeof changes.keepAlive === "string") {
          assert.deepStrictEqual(parsed.keep_alive, JSON.parse(changes.keepAlive))
        }
        const before = Object.fromEntries(runnerOptions(value))
        assert.deepStrictEqual(
          Object.fromEntries(runnerOptions(parsed)),
          changes.runnerOptions === null ? {} : before,
        )
        assert.deepStrictEqual(parsed.messages, value["messages"])
        assert.deepStrictEqual(parsed.tools, value["tools"])
      }),
    { arbitrary: { runs: 1000, seed: "splice" } },
  )

  it("matches keys as Go does: any letter case, escapes, the long s and the Kelvin sign", () => {
    assert.strictEqual(read(`{"MODEL":"a"}`).model, "a")
    assert.strictEqual(read(`{"mo\\u0064el":"a"}`).model, "a")
    assert.strictEqual(read(`{"option\u017f":{"num_ctx":5}}`).numCtx, 5)
    assert.strictEqual(read(`{"\u212aeep_alive":5}`).keepAlive, "5")
    assert.strictEqual(read(`{"model":"a\\u002fb"}`).model, "a/b")
  })

  it("refuses a key that is read and comes twice", () => {
    assert.strictEqual(wrong(`{"model":"a","MODEL":"b"}`), `duplicate key "model"`)
    assert.strictEqual(wrong(`{"model":"a","mode\\u006c":null}`), `duplicate key "model"`)
    assert.strictEqual(wrong(`{"options":{},"options":{"num_ctx":1}}`), `duplicate key "options"`)
    assert.strictEqual(wrong(`{"options":{"num_ctx":1,"num_ctx":2}}`), `duplicate key "num_ctx"`)
    assert.strictEqual(read(`{"x":1,"x":2,"model":"a"}`).model, "a")
  })

  it("refuses bad bodies in the words of Go", () => {
    assert.strictEqual(wrong(""), "missing request body")
    assert.strictEqual(wrong(" \n"), "missing request body")
    assert.strictEqual(wrong("{bad"), "invalid character 'b' looking for beginning of object key string")
    assert.strictEqual(wrong("bad"), "invalid character 'b' looking for beginning of value")
    assert.strictEqual(wrong(`{"a" 1}`), "invalid character '1' after object key")
    assert.strictEqual(wrong(`{"a":1 "b"}`), "invalid character '\"' after object key:value pair")
    assert.strictEqual(wrong(`{"a":1,}`), "invalid character '}' looking for beginning of object key string")
    assert.strictEqual(wrong(`{"model":"x`), "unexpected EOF")
    assert.strictEqual(wrong(`{"a":[1,2`), "unexpected EOF")
    assert.strictEqual(wrong(`{`), "unexpected EOF")
    assert.strictEqual(wrong("[]"), "json: cannot unmarshal array into Go value of type api.GenerateRequest")
    assert.strictEqual(
      wrong(`{"model":5}`),
      "json: cannot unmarshal number into Go struct field GenerateRequest.model of type string",
    )
    assert.strictEqual(
      wrong(`{"stream":"yes"}`, endpoint("/v1/chat/completions")),
      "json: cannot unmarshal string into Go struct field ChatCompletionRequest.stream of type bool",
    )
    assert.strictEqual(
      wrong(`{"options":[]}`),
      "json: cannot unmarshal array into Go struct field GenerateRequest.options of type map[string]interface {}",
    )
    assert.strictEqual(wrong(`{"options":{"num_ctx":"4096"}}`), `option "num_ctx" must be of type integer`)
  })

  it("ignores bytes after the first value, and keys that /v1 does not know", () => {
    assert.strictEqual(read(`{"model":"a"} trailing {`).model, "a")
    assert.strictEqual(read("null").model, "")
    const openai = read(`{"model":"a","options":{"num_ctx":"x"},"keep_alive":1}`, endpoint("/v1/chat/completions"))
    assert.isUndefined(openai.numCtx)
    assert.isUndefined(openai.keepAlive)
  })

  it("tells an empty prompt from one with text", () => {
    assert.isTrue(read(`{"model":"a"}`, generate).emptyPrompt)
    assert.isTrue(read(`{"model":"a","prompt":""}`, generate).emptyPrompt)
    assert.isFalse(read(`{"model":"a","prompt":" "}`, generate).emptyPrompt)
    assert.isTrue(read(`{"model":"a","messages":[ ]}`).emptyPrompt)
    assert.isTrue(read(`{"model":"a"}`, endpoint("/api/embed")).emptyPrompt)
    assert.isFalse(read(`{"model":"a","input":["x"]}`, endpoint("/api/embed")).emptyPrompt)
    assert.isFalse(read(`{"model":"a","input":"x"}`, endpoint("/v1/responses")).emptyPrompt)
    assert.strictEqual(read(`{"prompt":"four","system":"x"}`, generate).promptBytes, 9)
  })

  it("walks a million brackets and a megabyte of quotes in linear time", () => {
    const deep = bytes(`{"x":${"[".repeat(1_000_000)}${"]".repeat(1_000_000)},"model":"a"}`)
    assert.strictEqual(read(deep).model, "a")
    assert.strictEqual(read(`{"x":${JSON.stringify('\\"'.repeat(500_000))},"model":"a"}`).model, "a")
    assert.strictEqual(wrong(`{"x":"${"\\".repeat(1_000_000)}`), "unexpected EOF")
    assert.strictEqual(wrong(`${"[".repeat(1_000_000)}`), "unexpected EOF")
  })
})
