import { assert, describe, it } from "@effect/vitest"
import * as LeastBusyScorer from "../../src/plugins/scorers/LeastBusyScorer.ts"
import * as SessionAffinity from "../../src/plugins/scorers/SessionAffinity.ts"
import * as WeightScorer from "../../src/plugins/scorers/WeightScorer.ts"
import { backend, loadOf, shareOf } from "../../src/services/Fleet.ts"
import { demandFor, modelOn } from "../support/demands.ts"
import { fleetOf, viewOf } from "../support/views.ts"

const one = backend({ url: "http://one", id: "one" })
const two = backend({ url: "http://two", id: "two", weight: 2 })

describe("the weight of a backend", () => {
  it("is its capacity relative to the others", () => {
    assert.strictEqual(loadOf(two, 4), loadOf(one, 2))
    assert.strictEqual(shareOf(two, [{ backend: one }, { backend: two }]), 2 / 3)
  })

  it("means the same to every scorer: with weight 2, twice the requests", () => {
    const model = modelOn("m:latest", "one", "two")
    const views = (
      streams: number,
    ) => [viewOf("one", { backend: one, streams }), viewOf("two", { backend: two, streams: 2 * streams })]
    const fleet = fleetOf(views(3))
    const scores = (scorer: ReturnType<typeof WeightScorer.make>) =>
      fleet.backends.map((view) => scorer.score(view, demandFor(model), fleet))
    const [a, b] = scores(LeastBusyScorer.make())
    assert.strictEqual(a, b)
    assert.deepStrictEqual(scores(WeightScorer.make()), [0.5, 1])

    const idle = fleetOf(views(0))
    const { scorer } = SessionAffinity.make()
    const firsts = Array.from({ length: 3000 }, (_, i) => {
      const demand = demandFor(model, { session: Math.imul(i, 0x9e3779b1) >>> 0 })
      return idle.backends.find((view) => scorer.score(view, demand, idle) === 1)?.backend.id
    })
    assert.approximately(firsts.filter((id) => id === "two").length / firsts.length, 2 / 3, 0.04)
  })

  it("must be a finite number above 0", () => {
    for (const weight of [0, -1, NaN, Infinity]) {
      assert.throws(() => backend({ url: "http://a", weight }), /weight must be a finite number above 0/)
    }
  })
})

describe("the price of a backend", () => {
  it("is absent unless it is given, and at least 0", () => {
    assert.isFalse("price" in backend("http://a"))
    for (const price of [0, 0.5, 1e6]) assert.strictEqual(backend({ url: "http://a", price }).price, price)
    for (const price of [-1, NaN, Infinity]) {
      assert.throws(() => backend({ url: "http://a", price }), /price must be a finite number of at least 0/)
    }
  })
})
