import { assert, describe, it } from "@effect/vitest"
import { Picked } from "../../../src/layers/placement/picked.ts"
import * as MaxScorePicker from "../../../src/plugins/pickers/MaxScorePicker.ts"
import type { Candidate, Picker } from "../../../src/services/Plugin.ts"
import { demandFor, modelOn } from "../../support/demands.ts"
import { viewOf } from "../../support/views.ts"

const demand = demandFor(modelOn("m:latest"))

/** Numbers from 0 to below `below` that look random. */
const numbers = (seed: number) => {
  let state = seed
  return (below: number) => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0) % below
}

const candidates = (count: number, seed: number, scores = 4): ReadonlyArray<Candidate> => {
  const next = numbers(seed)
  return Array.from({ length: count }, (_, i) => ({
    view: viewOf(`${i}`, { lastLeaseAt: next(3) }),
    score: next(scores) / scores,
  }))
}

const order = (picker: Picker, all: ReadonlyArray<Candidate>) =>
  Array.from(new Picked(picker, demand, () => 0, all), ({ view }) => view.backend.id)

describe("Picked", () => {
  const picker = MaxScorePicker.make()
  const { before: _, ...oneByOne } = picker

  it("gives the order of the picks, also where it sorts: with ties, few candidates and many", () => {
    for (let seed = 1; seed <= 60; seed++) {
      const all = candidates(seed, seed, 1 + seed % 7)
      assert.deepStrictEqual(order(picker, all), order(oneByOne, all), `seed ${seed}`)
    }
  })

  it("picks one by one where a score is no number", () => {
    const all = candidates(40, 3).map((one, i) => i % 5 === 2 ? { ...one, score: NaN } : one)
    assert.deepStrictEqual(order(picker, all), order(oneByOne, all))
  })

  it("can be read twice, and gives every candidate once", () => {
    const ranking = new Picked(picker, demand, () => 0, candidates(100, 5))
    const [first, second] = [Array.from(ranking), Array.from(ranking)]
    assert.deepStrictEqual(first, second)
    assert.strictEqual(new Set(first).size, 100)
  })

  it("compares a thousand candidates a few times each, and not with all others", () => {
    let comparisons = 0
    const counted: Picker = {
      ...picker,
      pick: (left, ...rest) => {
        comparisons += left.length
        return picker.pick(left, ...rest)
      },
      before: (a, b) => {
        comparisons++
        return picker.before!(a, b)
      },
    }
    const all = candidates(1000, 7, 1000)
    order(counted, all)
    assert.isBelow(comparisons, 40_000)
    comparisons = 0
    const [first] = new Picked(counted, demand, () => 0, all)
    assert.isDefined(first)
    assert.strictEqual(comparisons, 1000)
  })
})
