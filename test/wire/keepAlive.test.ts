/** `keep_alive`, as Ollama reads it. */
import { assert, describe, it } from "@effect/vitest"
import { seconds, unloads } from "../../src/wire/keepAlive.ts"

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
    const zeros = [
      "0",
      "0.0",
      "-0",
      "0e9",
      "1e-10",
      `"0"`,
      `"0s"`,
      `"-0s"`,
      `"0h0m"`,
      `"0.1ns"`,
      `"-0.1ns"`,
      `"0.9ns0.9ns"`,
      `"\\u0030s"`,
    ]
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

  it("is not known for a number that Go's 64 bits cannot hold", () => {
    for (const raw of ["1e10", "9223372036.9", "1e300"]) assert.isNaN(seconds(raw), raw)
    assert.strictEqual(seconds("9e9"), 9e9)
    assert.isUndefined(seconds("1e400"), "Go cannot read it")
  })

  it.each(["0", "-0", `"0m0s"`, `"1ms"`, "0.001", "1e-3", `"0.5s"`, `"1ns"`, `"-0.9ns"`, `"999.999ms"`, "0.9999"])(
    "%s unloads the model after the request",
    (raw) => assert.isTrue(unloads(raw)),
  )

  it.each(["1", `"1s"`, "-1", "-0.001", `"-1ns"`, `"5m"`, "1e10", `"soon"`, "true"])(
    "%s does not unload the model after the request",
    (raw) => assert.isFalse(unloads(raw)),
  )
})
