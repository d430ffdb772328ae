import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { Overlap } from "../../../src/layers/leases/overlap.ts"

const most = (answers: ReadonlyArray<readonly [number, number]>) => {
  const overlap = new Overlap()
  for (const [begun, ended] of answers) overlap.add(begun, ended)
  return overlap.most
}

describe("Overlap", () => {
  it("counts answers that ran at the same time, in any order of their ends", () => {
    assert.strictEqual(most([]), 0)
    assert.strictEqual(most([[0, 100]]), 1)
    assert.strictEqual(most([[0, 100], [50, 150], [90, 160]]), 3)
    // The long one ends last, and ran beside both others, one after the other.
    assert.strictEqual(most([[0, 100], [110, 200], [10, 300]]), 2)
  })

  it("does not count an answer that follows another, nor one that took no time", () => {
    assert.strictEqual(most([[0, 100], [100, 200], [200, 300]]), 1)
    // One and the same slot, when clocks differ by a few milliseconds.
    assert.strictEqual(most([[0, 100], [97, 200]]), 1)
    assert.strictEqual(most([[0, 2], [0, 3]]), 0)
  })

  it("starts again after clear", () => {
    const overlap = new Overlap()
    for (const n of [1, 2, 3]) overlap.add(n, 100)
    overlap.clear()
    overlap.add(50, 120)
    assert.strictEqual(overlap.most, 1)
  })

  const time = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 1000 }))
  it.prop(
    "is never more than the slots of a server",
    { works: Schema.Array(Schema.Tuple([time, time])) },
    ({ works }) => {
      for (const slots of [1, 2, 5]) {
        const free = Array.from({ length: slots }, () => 0)
        const answers = works.map(([pause, work]): [number, number] => {
          const slot = free.indexOf(Math.min(...free))
          const begun = free[slot]! + pause
          return [begun, free[slot] = begun + work]
        })
        assert.isAtMost(most(answers.toSorted((a, b) => a[1] - b[1])), slots)
      }
    },
    { arbitrary: { runs: 200, seed: "overlap" } },
  )
})
