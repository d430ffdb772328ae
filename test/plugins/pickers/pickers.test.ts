import { assert, describe, it } from "@effect/vitest"
import * as TwoChoicesPicker from "../../../src/plugins/pickers/TwoChoicesPicker.ts"
import * as WeightedRandomPicker from "../../../src/plugins/pickers/WeightedRandomPicker.ts"
import * as PeakEwma from "../../../src/plugins/scorers/PeakEwma.ts"
import * as WeightScorer from "../../../src/plugins/scorers/WeightScorer.ts"
import * as ZoneScorer from "../../../src/plugins/scorers/ZoneScorer.ts"
import { backend } from "../../../src/services/Fleet.ts"
import type { Picker } from "../../../src/services/Plugin.ts"
import type { RouterEvent } from "../../../src/services/RouterEvents.ts"
import { demandFor, modelOn } from "../../support/demands.ts"
import { fleetOf, viewOf } from "../../support/views.ts"

const model = modelOn("m:latest", "a", "b", "c")
const demand = demandFor(model)

/** A random source that repeats itself (mulberry32). */
const seeded = (seed: number) => {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
}

const shares = (picker: Picker, scores: ReadonlyArray<number>) => {
  const random = seeded(1)
  const candidates = scores.map((score, i) => ({ view: viewOf(`${i}`), score }))
  const counts = scores.map(() => 0)
  for (let i = 0; i < 10_000; i++) {
    const picked = picker.pick(candidates, demand, random)
    counts[picked] = counts[picked]! + 1
  }
  return counts.map((count) => count / 10_000)
}

describe("pickers", () => {
  it("TwoChoicesPicker picks the better of any two, and never the worst", () => {
    const [best = 0, middle = 0, worst] = shares(TwoChoicesPicker.make(), [1, 0.5, 0])
    assert.approximately(best, 2 / 3, 0.02)
    assert.approximately(middle, 1 / 3, 0.02)
    assert.strictEqual(worst, 0)
    assert.deepStrictEqual(shares(TwoChoicesPicker.make(), [1]), [1])
  })

  it("WeightedRandomPicker picks in proportion to the scores, and evenly where all are 0", () => {
    const [one = 0, three = 0] = shares(WeightedRandomPicker.make(), [1, 3])
    assert.approximately(one, 0.25, 0.02)
    assert.approximately(three, 0.75, 0.02)
    for (const share of shares(WeightedRandomPicker.make(), [0, 0])) assert.approximately(share, 0.5, 0.02)
  })
})

describe("scorers", () => {
  const made = (id: string, options: { weight?: number; labels?: Record<string, string> }) =>
    viewOf(id, { backend: backend({ url: `http://${id}:11434`, id, ...options }) })

  /** A request that a backend has answered, as far as a scorer reads it. */
  const firstByte = (backend: string, firstByteMillis: number, at: number) =>
    ({
      _tag: "RequestSettled",
      at,
      settled: { backend, outcome: { kind: "success", cause: "", firstByteMillis } },
    }) as RouterEvent & { _tag: "RequestSettled" }

  it("WeightScorer scores the weight over the highest one, ZoneScorer the zone", () => {
    const fleet = fleetOf([made("a", { weight: 1 }), made("b", { weight: 4, labels: { zone: "z1" } })])
    const score = (scorer: { score: ReturnType<typeof WeightScorer.make>["score"] }) =>
      fleet.backends.map((view) => scorer.score(view, demand, fleet))
    assert.deepStrictEqual(score(WeightScorer.make()), [0.25, 1])
    assert.deepStrictEqual(score(ZoneScorer.make("z1")), [0, 1])
  })

  it("PeakEwma notices a slow answer at once, forgets it with time, and counts streams", () => {
    const { observer, scorer } = PeakEwma.make({ decayMillis: 1000 })
    const hear = (backend: string, millis: number, at: number) => observer.observe(firstByte(backend, millis, at))
    const fleet = fleetOf([viewOf("a"), viewOf("b"), viewOf("c", { streams: 1 })])
    const scores = () => fleet.backends.map((view) => scorer.score(view, demand, fleet))
    assert.deepStrictEqual(scores(), [1, 1, 1])
    hear("a", 100, 0)
    hear("b", 100, 0)
    hear("c", 100, 0)
    assert.deepStrictEqual(scores(), [1, 1, 0.5])
    hear("b", 1000, 10)
    assert.deepStrictEqual(scores(), [1, 0.1, 0.5])
    hear("b", 100, 20)
    assert.isBelow(scores()[1]!, 0.11)
    hear("b", 100, 5020)
    assert.isAbove(scores()[1]!, 0.9)
  })

  it("PeakEwma expects twice the streams of a backend of weight 2", () => {
    const { observer, scorer } = PeakEwma.make()
    const fleet = fleetOf([made("a", { weight: 1 }), { ...made("b", { weight: 2 }), streams: 1 }])
    for (const id of ["a", "b"]) observer.observe(firstByte(id, 100, 0))
    assert.deepStrictEqual(fleet.backends.map((view) => scorer.score(view, demand, fleet)), [1, 1])
  })
})
