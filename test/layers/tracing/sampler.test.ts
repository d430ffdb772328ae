import { assert, describe, it } from "@effect/vitest"
import * as Ids from "../../../src/layers/tracing/ids.ts"
import * as RequestTrace from "../../../src/layers/tracing/requestTrace.ts"
import * as Sampler from "../../../src/layers/tracing/sampler.ts"
import { SeededRandom } from "../../../src/testing/faults/seededRandom.ts"

const seeded = (seed: number) => {
  const random = new SeededRandom(seed)
  return () => random.next()
}

const context = (sampled: boolean, traceId = "0af7651916cd43dd8448eb211c80319c") => ({
  traceId,
  spanId: "b7ad6b7169203331",
  sampled,
  random: false,
  state: undefined,
})

describe("samplers", () => {
  it("without a parent decide by their name", () => {
    const decisions = Sampler.names.map((name) => {
      const sampler = Sampler.make(name, 0.25)
      return [0, 0.74, 0.76, 0.999].map((number) => sampler(undefined, number) ? 1 : 0).join("")
    })
    assert.deepStrictEqual(decisions, ["1111", "0000", "0011", "1111", "0000", "0011"])
  })

  it("follow the parent where they are based on it, and only there", () => {
    const decided = (sampled: boolean) =>
      Sampler.names.map((name) => Sampler.make(name, 0)(context(sampled), 0.999) ? 1 : 0).join("")
    assert.strictEqual(decided(true), "100111")
    assert.strictEqual(decided(false), "100000")
  })

  it("by ratio decide on the last 56 bits of the parent's trace id", () => {
    const sampler = Sampler.make("traceidratio", 0.5)
    const start = "0af7651916cd43dd84"
    const below = context(true, `${start}7fffffffffffff`)
    const above = context(false, `${start}80000000000000`)
    assert.isFalse(sampler(below, 0.9))
    assert.isTrue(sampler(above, 0.1))
    assert.isFalse(Sampler.make("traceidratio", 0)(context(true, `${start}ffffffffffffff`), 1))
  })

  it("choose the share that they are told, and the trace id stands for the decision", () => {
    const source = seeded(7)
    for (const ratio of [0.01, 0.1, 0.5, 1]) {
      const begin = RequestTrace.beginner(Sampler.make("parentbased_traceidratio", ratio), source)
      const traces = Array.from({ length: 20_000 }, () => begin([]))
      const share = traces.filter(({ sampled }) => sampled).length / traces.length
      assert.closeTo(share, ratio, 4 * Math.sqrt(ratio * (1 - ratio) / traces.length) + 1e-9, String(ratio))
      const another = Sampler.make("traceidratio", ratio)
      for (const { sampled, traceId } of traces.slice(0, 500)) {
        assert.strictEqual(another(context(!sampled, traceId), 0), sampled, traceId)
      }
    }
  })
})

describe("ids", () => {
  it("have their lengths, are not all zeros, and do not repeat", () => {
    for (const source of [seeded(1), () => 0, () => 1 - 2 ** -53]) {
      assert.match(Ids.span(source), /^(?!0{16})[\da-f]{16}$/)
      assert.match(Ids.trace(source, source()), /^(?!0{32})[\da-f]{32}$/)
    }
    const source = seeded(3)
    const spans = Array.from({ length: 50_000 }, () => Ids.span(source))
    assert.strictEqual(new Set(spans).size, spans.length)
  })

  it("of a trace stand for the number that was decided on", () => {
    for (const number of [0, 0.25, 1 / 3, 0.99]) {
      assert.closeTo(Ids.numberOf(Ids.trace(seeded(5), number)), number, 1e-12)
    }
  })
})
