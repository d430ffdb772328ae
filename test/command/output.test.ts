import { assert, describe, it } from "@effect/vitest"
import { CliOutput } from "effect/cli"
import * as Format from "../../src/command/format.ts"
import * as Output from "../../src/command/output.ts"

const plain = Output.paintWith(false)

describe("a table", () => {
  it("has columns as wide as their longest text, numbers at the right edge, and no blanks at the end of a line", () => {
    const rows = [["gpu-1", "5", "well"], ["a", "1,234", ""], ["long-name", "", ""]]
    assert.strictEqual(
      Output.table(["NAME", { right: "N" }, "STATE"], rows, plain),
      [
        "NAME           N  STATE",
        "gpu-1          5  well",
        "a          1,234",
        "long-name",
      ].join("\n"),
    )
  })

  it("stays aligned with wide characters, marks and emoji", () => {
    const names = ["模型", "é", "e\u0301", "🦙", "abcd"]
    const lines = Output.table(["NAME", "X"], names.map((name) => [name, "x"]), plain).split("\n")
    assert.deepStrictEqual(lines.map((line) => CliOutput.displayWidth(line)), lines.map(() => 7))
  })

  it("has colours where they are wanted, and the same layout without them", () => {
    const rows: ReadonlyArray<ReadonlyArray<Output.Cell>> = [["a", ["bad", "down"], "x"], ["bb", ["good", "up"], "y"]]
    const colored = Output.table(["N", "S", "T"], rows, Output.paintWith(true))
    assert.include(colored, "\x1b[31mdown\x1b[0m")
    assert.strictEqual(
      // deno-lint-ignore no-control-regex
      colored.replaceAll(/\x1b\[\d+m/g, ""),
      Output.table(["N", "S", "T"], rows, plain),
    )
  })

  it("has titles alone where there are no rows", () => {
    assert.strictEqual(Output.table(["A", "B"], [], plain), "A  B")
  })

  it.each([
    ["an escape sequence", "\x1b[2J\x1b]0;title\x07"],
    ["new lines", "a\r\nb"],
    ["a C1 control", "\x9b31m"],
    ["text that runs backwards", "\u202egpj.exe"],
  ])("a name cannot change the terminal: %s", (_, name) => {
    const text = Output.table(["A"], [[name], [["bad", name]]], plain).replaceAll("\n", "")
    assert.notMatch(text, /[\p{Cc}\u202e]/u)
    assert.strictEqual(Output.table(["A"], [[name]], plain).split("\n").length, 2)
  })
})

describe("numbers for people", () => {
  it.each([
    [0, 80 * 2 ** 30, "0.0/80.0 GiB"],
    [12.34 * 2 ** 30, 80 * 2 ** 30, "12.3/80.0 GiB"],
    [100, 512, "100/512 B"],
    [5 * 2 ** 30, null, "5.0 GiB"],
    [2 ** 20, 2 ** 30, "0.0/1.0 GiB"],
  ])("%d of %s bytes", (value, total, text) => assert.strictEqual(Format.bytesOf(value, total), text))

  it.each([
    ["2026-01-01T00:00:00.000Z", "2026-01-01T00:00:00.900Z", "now"],
    ["2026-01-01T00:00:00.000Z", "2026-01-01T00:00:59.000Z", "59 s"],
    ["2026-01-01T00:00:00.000Z", "2026-01-01T00:04:10.000Z", "4 min"],
    ["2026-01-01T00:00:00.000Z", "2026-01-02T23:00:00.000Z", "47 h"],
    ["2026-01-01T00:00:00.000Z", "2026-01-09T00:00:00.000Z", "8 d"],
    ["2026-01-01T00:01:00.000Z", "2026-01-01T00:00:00.000Z", "now"],
    [null, "2026-01-01T00:00:00.000Z", "–"],
    ["nonsense", "2026-01-01T00:00:00.000Z", "–"],
  ])("from %s to %s", (earlier, later, text) => assert.strictEqual(Format.between(earlier, later), text))

  it.each([[["a", "b"], "a, b"], [["a", "b", "c"], "a, b and 1 more"], [[], ""]])(
    "some of %j",
    (names, text) => assert.strictEqual(Format.some(names, 2), text),
  )
})
