import { assert, describe, it } from "@effect/vitest"
import { Effect, FileSystem, Layer, Logger, PlatformError } from "effect"
import { TestClock } from "effect/testing"
import * as File from "../../../src/layers/keys/file.ts"
import * as FileApiKeys from "../../../src/layers/keys/FileApiKeys.ts"
import * as StaticApiKeys from "../../../src/layers/keys/StaticApiKeys.ts"
import { hash } from "../../../src/layers/keys/table.ts"
import { ApiKeys, presented } from "../../../src/services/ApiKeys.ts"

const entry = (id: string, key: string, rest: object = {}) => ({ id, sha256: hash(key), ...rest })
const file = (...keys: ReadonlyArray<object>) => JSON.stringify({ keys })

/** A file whose text a test changes. */
const disk = (content: { text: string | undefined }) =>
  Layer.succeed(
    FileSystem.FileSystem,
    FileSystem.makeNoop({
      readFileString: () =>
        Effect.suspend(() =>
          content.text === undefined
            ? Effect.fail(PlatformError.systemError({ _tag: "NotFound", module: "FileSystem", method: "readFile" }))
            : Effect.succeed(content.text)
        ),
    }),
  )
const logged: Array<string> = []
const log = Logger.layer([Logger.make(({ message }) => void logged.push(String(message)))])

describe("the file of keys", () => {
  it("gives each key its grant; the tenant of a key defaults to its id", () => {
    const read = File.read(
      file(
        entry("a", "ka"),
        entry("b", "kb", { tenant: "t", models: ["LLAMA3.1:8b", "gpt-4o"], requestsPerMinute: 5, priority: "batch" }),
      ),
    )
    assert.isTrue(Array.isArray(read))
    const [a, b] = read as ReadonlyArray<{ readonly grant: object }>
    assert.deepInclude(a!.grant, { id: "a", tenant: "a", models: undefined, limits: undefined })
    assert.deepInclude(b!.grant, { tenant: "t", models: new Set(["llama3.1:8b", "gpt-4o:latest"]), priority: "batch" })
  })

  const secret = "sk-do-not-tell"
  const faults: ReadonlyArray<readonly [string, string, RegExp]> = [
    ["no JSON", `{"keys": ${secret}`, /must be JSON/],
    ["a key in place of its hash", file({ id: "a", sha256: secret }), /keys\[0\]\.sha256 must be 64 hex digits/],
    ["no id", file({ sha256: hash("x") }), /keys\[0\]\.id must be/],
    ["a limit of nothing", file(entry("a", "x", { requestsPerMinute: 0 })), /keys\[0\]\.requestsPerMinute must be/],
    ["a field that is none", file(entry("a", "x", { [secret]: ["m"] })), /keys\[0\] has a field that is none of/],
    ["a model that is none", file(entry("a", "x", { models: [7] })), /keys\[0\]\.models must be/],
    ["an id twice", file(entry("a", "x"), entry("a", "y")), /keys\[1\]\.id is the same as that of keys\[0\]/],
    ["a key twice", file(entry("a", "x"), entry("b", "x")), /keys\[1\]\.sha256 is the same as that of keys\[0\]/],
  ]
  for (const [name, text, wanted] of faults) {
    it(`${name}: the file is refused as a whole, with the place of the fault and without its value`, () => {
      const read = File.read(text)
      assert(typeof read === "string")
      assert.match(read, wanted)
      assert.notInclude(read, secret)
    })
  }
})

describe("FileApiKeys", () => {
  it.effect("reads the file at once when asked, and says whether it has changed, or why it cannot be used", () => {
    const content: { text: string | undefined } = { text: file(entry("a", "ka")) }
    return Effect.gen(function* () {
      const keys = yield* ApiKeys
      assert.isFalse(yield* keys.reload!)
      content.text = file(entry("b", "kb"))
      assert.isTrue(yield* keys.reload!)
      assert.deepStrictEqual([keys.find("ka"), keys.find("kb")?.id], [undefined, "b"])
      for (const [text, why] of [["{", /must be JSON/], [undefined, /cannot be read/]] as const) {
        content.text = text
        assert.match((yield* Effect.flip(keys.reload!)).message, why)
        assert.strictEqual(keys.find("kb")?.id, "b")
      }
    }).pipe(Effect.provide(FileApiKeys.layer("/keys.json").pipe(Layer.provide(disk(content)), Layer.provide(log))))
  })

  it.effect("reads the file again when it changes, as a whole or not at all", () => {
    const content: { text: string | undefined } = { text: file(entry("a", "ka"), entry("b", "kb")) }
    logged.length = 0
    return Effect.gen(function* () {
      const keys = yield* ApiKeys
      const known = () => ["ka", "kb", "kc"].filter((key) => keys.find(key) !== undefined).join()
      assert.strictEqual(known(), "ka,kb")
      content.text = file(entry("b", "kb"), entry("c", "kc"))
      assert.strictEqual(known(), "ka,kb")
      yield* TestClock.adjust("3 seconds")
      assert.strictEqual(known(), "kb,kc")
      content.text = file(entry("a", "ka"), { id: "d", sha256: "sk-plain" })
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(known(), "kb,kc")
      assert.lengthOf(logged.filter((line) => line.includes("keys[1].sha256")), 1, "said once, not at every look")
      content.text = undefined
      yield* TestClock.adjust("3 seconds")
      assert.strictEqual(known(), "kb,kc")
      content.text = file(entry("a", "ka"))
      yield* TestClock.adjust("3 seconds")
      assert.strictEqual(known(), "ka")
      assert.notInclude(logged.join("\n"), "sk-plain")
    }).pipe(Effect.provide(FileApiKeys.layer("keys.json").pipe(Layer.provide([disk(content), log]))))
  })

  it.effect("says once that the file is gone, and once that it is back", () => {
    const content: { text: string | undefined } = { text: file(entry("a", "ka")) }
    const good = content.text
    const lines: Array<string> = []
    const own = Logger.layer([Logger.make(({ message }) => void lines.push(String(message)))])
    return Effect.gen(function* () {
      const keys = yield* ApiKeys
      for (let i = 0; i < 2; i++) {
        lines.length = 0
        content.text = undefined
        yield* TestClock.adjust("1 hour")
        assert.isDefined(keys.find("ka"))
        content.text = good
        yield* TestClock.adjust("1 hour")
        assert.lengthOf(lines, 2)
        assert.match(lines[0]!, /keys\.json, cannot be read; the keys stay as they were/)
        assert.match(lines[1]!, /API keys read again: 1/)
      }
      // Another fault is another line.
      lines.length = 0
      for (const text of [undefined, "{", file({ id: "a" }), undefined]) {
        content.text = text
        yield* TestClock.adjust("1 minute")
      }
      assert.lengthOf(lines, 4)
    }).pipe(Effect.provide(FileApiKeys.layer("keys.json").pipe(Layer.provide([disk(content), own]))))
  })

  for (const text of [undefined, "{}"]) {
    it.effect(`does not start with ${text === undefined ? "a file that does not exist" : "a file that is not valid"}`, () =>
      Effect.gen(function* () {
        const error = yield* Effect.flip(
          Layer.build(FileApiKeys.layer("keys.json").pipe(Layer.provide(disk({ text })))),
        )
        assert.match(error.message, text === undefined ? /keys\.json, cannot be read/ : /keys\.json: it must be JSON/)
      }))
  }
})

describe("10,000 keys", () => {
  const keys = Array.from({ length: 10_000 }, (_, i) => ({ id: `k${i}`, secret: { sha256: hash(`key ${i}`) } }))
  it.effect("each key finds its own grant, and no other text does", () =>
    Effect.gen(function* () {
      const { find, size } = yield* ApiKeys
      assert.strictEqual(size(), 10_000)
      for (let i = 0; i < 10_000; i += 7) assert.strictEqual(find(`key ${i}`)?.id, `k${i}`)
      for (const wrong of ["", "key", "key 10000", hash("key 1"), "KEY 1"]) assert.isUndefined(find(wrong))
    }).pipe(Effect.provide(StaticApiKeys.layer(keys))))
})

it("keys are read from the two headers, and not from similar ones", () => {
  const from = (headers: Readonly<Record<string, string>>) => presented((name) => headers[name])
  assert.strictEqual(from({ authorization: "Bearer k" }), "k")
  assert.strictEqual(from({ authorization: "bearer  k " }), "k")
  assert.strictEqual(from({ "x-api-key": "k" }), "k")
  assert.strictEqual(from({ authorization: "Basic k", "x-api-key": "k" }), "")
  assert.strictEqual(from({ authorization: "Bearer a b" }), "")
  assert.strictEqual(from({}), "")
})
