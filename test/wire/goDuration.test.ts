/** Durations in the form of Go and of Effect. The values are those of the tests of Go's `time.ParseDuration`. */
import { assert, describe, it } from "@effect/vitest"
import { Result } from "effect"
import { millis, millisOrSeconds, parse } from "../../src/wire/goDuration.ts"

const ms = (text: string): number => Result.getOrThrow(parse(text))
const failure = (text: string): string => Result.getOrThrow(Result.flip(parse(text)))

describe("Go's form", () => {
  it.each([
    ["0", 0],
    ["5s", 5000],
    ["30s", 30_000],
    ["1478s", 1_478_000],
    ["-5s", -5000],
    ["+5s", 5000],
    ["+0", 0],
    ["5.0s", 5000],
    ["5.6s", 5600],
    ["5.s", 5000],
    [".5s", 500],
    ["1.004s", 1004],
    ["100.00100s", 100_001],
    ["10ns", 10e-6],
    ["11us", 11e-3],
    ["12µs", 12e-3],
    ["12μs", 12e-3],
    ["13ms", 13],
    ["15m", 900_000],
    ["16h", 57_600_000],
    ["3h30m", 12_600_000],
    ["10.5s4m", 250_500],
    ["-2m3.4s", -123_400],
    ["1h2m3s4ms5us6ns", 3_723_004.005006],
    ["39h9m14.425s", 140_954_425],
    ["2540400h10m10s", 9_145_440_610_000],
    ["0.9ns", 0],
    ["-0.9ns", 0],
    ["0.6ns0.6ns", 0],
    ["1.9ns", 1e-6],
    ["0.0000000019s", 1e-6],
    ["0.100000000000000000000h", 360_000],
  ])("reads %s", (text, expected) => {
    assert.closeTo(ms(text), expected, Math.abs(expected) * 1e-12)
  })

  it.each([
    ["", `time: invalid duration ""`],
    ["-", `time: invalid duration "-"`],
    ["s", `time: invalid duration "s"`],
    [".", `time: invalid duration "."`],
    ["-.s", `time: invalid duration "-.s"`],
    [".s", `time: invalid duration ".s"`],
    ["soon", `time: invalid duration "soon"`],
    [" 5s", `time: invalid duration " 5s"`],
    ["3", `time: missing unit in duration "3"`],
    ["3.5", `time: missing unit in duration "3.5"`],
    ["1m30", `time: missing unit in duration "1m30"`],
    ["1d", `time: unknown unit "d" in duration "1d"`],
    ["1e3s", `time: unknown unit "e" in duration "1e3s"`],
    ["30 s", `time: unknown unit " s" in duration "30 s"`],
    ["1S", `time: unknown unit "S" in duration "1S"`],
    ["3000000h", `time: invalid duration "3000000h"`],
    ["9223372036855ms", `time: invalid duration "9223372036855ms"`],
  ])("refuses %j in Go's words", (text, expected) => {
    assert.strictEqual(failure(text), expected)
  })
})

describe("what a person wrote", () => {
  it.each([
    ["500ms", 500],
    ["1m30s", 90_000],
    ["1M30S", 90_000],
    ["1 second", 1000],
    ["30 seconds", 30_000],
    ["2 minutes", 120_000],
    ["1 hour", 3_600_000],
    ["250 millis", 250],
    ["250 milliseconds", 250],
    ["1 minute 30 seconds", 90_000],
    ["1499us", 1],
  ])("reads %s as whole milliseconds", (text, expected) => {
    assert.strictEqual(millis(text), expected)
  })

  it("refuses what it cannot read, and what is not above zero", () => {
    for (const text of ["", "soon", "30", "1 day", "-5s", "0", "0s", "400us"]) {
      assert.isUndefined(millis(text), text)
    }
  })

  it("takes a number without a unit as seconds", () => {
    assert.deepStrictEqual(["30", "0.5", "0", "500ms", "2 minutes"].map(millisOrSeconds), [
      30_000,
      500,
      0,
      500,
      120_000,
    ])
    for (const text of ["-1", "1e3", ".5", "1.", "0s", ""]) assert.isUndefined(millisOrSeconds(text), text)
  })
})
