import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { decay, movingAverage } from "../../src/support/movingAverage.ts"

const Values = Schema.NonEmptyArray(Schema.Int.check(Schema.isBetween({ minimum: -1000, maximum: 1000 })))
const Percent = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 100 }))

describe("movingAverage", () => {
  it("starts with the first value", () => {
    assert.strictEqual(movingAverage(undefined, 7, 0.2), 7)
    assert.strictEqual(movingAverage(undefined, 0, 0), 0)
  })

  it("moves by its weight towards the value", () => {
    assert.strictEqual(movingAverage(10, 20, 0.25), 12.5)
    assert.strictEqual(movingAverage(10, 20, 0), 10)
    assert.strictEqual(movingAverage(10, 20, 1), 20)
    assert.strictEqual(movingAverage(0, 20, 0.5), 10)
  })

  it.prop(
    "stays between the least and the greatest value",
    { values: Values, percent: Percent },
    ({ percent, values }) => {
      const average = values.reduce<number | undefined>(
        (before, value) => movingAverage(before, value, percent / 100),
        undefined,
      )!
      assert.isAtLeast(average, Math.min(...values) - 1e-9)
      assert.isAtMost(average, Math.max(...values) + 1e-9)
    },
  )
})

describe("decay", () => {
  it("is 1 at once and 1/e after the decay time", () => {
    assert.strictEqual(decay(0, 1000), 1)
    assert.closeTo(decay(1000, 1000), 1 / Math.E, 1e-12)
    assert.closeTo(decay(2000, 1000), decay(1000, 1000) ** 2, 1e-12)
  })

  it("counts the time of a clock that was set back as 0", () => assert.strictEqual(decay(-5000, 1000), 1))
})
