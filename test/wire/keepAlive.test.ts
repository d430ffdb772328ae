/** `keep_alive`, as Ollama reads it. */
import { assert, describe, it } from "@effect/vitest"
import { seconds } from "../../src/wire/keepAlive.ts"

describe("keep_alive", () => {
  it.each([
    ["300", 300],
    ["1.5", 1.5],
    [`"5m"`, 300],
    [`"1h0m0s"`, 3600],
    [`"500ms"`, 0.5],
    ["-1", Infinity],
    [`"-1s"`, Infinity],
    [`"-1ns"`, Infinity],
  ])("%s is %s seconds", (raw, expected) => {
    assert.strictEqual(seconds(raw), expected)
  })

  it("is 0 in every spelling of 0", () => {
    const zeros = ["0", "0.0", "-0", "0e9", "1e-10", `"0"`, `"0s"`, `"-0s"`, `"0h0m"`, `"0.1ns"`, `"\\u0030s"`]
    for (const raw of zeros) assert.isTrue(seconds(raw) === 0, raw)
  })

  it("reads a string with escapes as Ollama does", () => {
    assert.strictEqual(seconds(`"\\u0035m"`), 300)
  })

  it("is undefined where Ollama refuses it", () => {
    for (const raw of [`"30"`, `"soon"`, `""`, `" 5m"`, `"-"`, "true", "[]", "{}", `"\\x"`]) {
      assert.isUndefined(seconds(raw), raw)
    }
  })

  it("takes a value of absurd length as for ever, without reading it", () => {
    assert.strictEqual(seconds(JSON.stringify("0s".repeat(200))), Infinity)
  })
})
