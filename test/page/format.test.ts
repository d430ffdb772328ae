import { assert, describe, it } from "@effect/vitest"
import * as Format from "../../page/format.ts"

const gib = 2 ** 30

describe("numbers on the status page", () => {
  it("bytes have the unit that fits", () => {
    const cases: ReadonlyArray<readonly [number | null, string]> = [
      [0, "0 B"],
      [512, "512 B"],
      [1024, "1.0 KiB"],
      [24 * gib, "24.0 GiB"],
      [79.96 * gib, "80.0 GiB"],
      [100 * gib, "100 GiB"],
      [1023.6 * gib, "1.0 TiB"],
      [-3 * gib, "−3.0 GiB"],
      [null, "–"],
    ]
    for (const [value, text] of cases) assert.strictEqual(Format.bytes(value), text)
  })

  it("durations have the unit that fits", () => {
    const cases: ReadonlyArray<readonly [number | null, string]> = [
      [0, "0 ms"],
      [0.000_085, "85 µs"],
      [0.0004, "400 µs"],
      [0.000_999_6, "1.0 ms"],
      [0.0042, "4.2 ms"],
      [0.24, "240 ms"],
      [0.9996, "1.00 s"],
      [12.34, "12.3 s"],
      [59.96, "1 min 0 s"],
      [125, "2 min 5 s"],
      [3599.6, "1 h 0 min"],
      [10_920, "3 h 2 min"],
      [3 * 86_400 + 7200, "3 d 2 h"],
      [Number.NaN, "–"],
    ]
    for (const [value, text] of cases) assert.strictEqual(Format.seconds(value), text)
  })

  it("times that go on have whole seconds", () => {
    const cases = [[-3, "< 1 s"], [0.9, "< 1 s"], [1, "1 s"], [59.99, "59 s"], [60, "1 min 0 s"], [3700, "1 h 2 min"]]
    for (const [value, text] of cases) assert.strictEqual(Format.running(value as number), text)
  })

  it("moments are a time today, and have a day otherwise", () => {
    const now = new Date(2026, 5, 3, 12, 0)
    const at = (...parts: [number, number, number]) => new Date(2026, 5, ...parts).toISOString()
    assert.strictEqual(Format.moment(at(3, 9, 5), now), "09:05")
    assert.strictEqual(Format.moment(at(3, 23, 59), now), "23:59")
    assert.strictEqual(Format.moment(at(4, 0, 5), now), "Thu 00:05")
    assert.strictEqual(Format.moment(at(1, 18, 0), now), "Mon 18:00")
    assert.strictEqual(Format.moment(at(20, 8, 0), now), "20 Jun 08:00")
  })

  it("other numbers have three digits", () => {
    for (
      const [value, text] of [[0, "0"], [0.424, "0.42"], [12.34, "12.3"], [999.6, "1,000"], [1234, "1,234"]] as const
    ) {
      assert.strictEqual(Format.number(value), text)
    }
    assert.strictEqual(Format.count(1, "retry", "retries"), "1 retry")
    assert.strictEqual(Format.count(2, "retry", "retries"), "2 retries")
  })

  it("the UUID of a GPU is short, and other names are whole", () => {
    assert.strictEqual(Format.device("GPU-5d1e4f0a-1b2c-3d4e-5f60-718293a4b5c6"), "GPU-5d1e4f0a")
    assert.strictEqual(Format.device("system"), "system")
    assert.strictEqual(Format.device("GPU-node-001:11434-0"), "GPU-node-001:11434-0")
  })
})
