import { assert, describe, it } from "@effect/vitest"
import { BatchSizes } from "../../../src/layers/coalescing/batchSizes.ts"

/** What is learned from calls of these sizes, whose time is `besides` and `each` for a text. */
const learned = (besides: number, each: number, sizes: ReadonlyArray<number>) => {
  const seen = new BatchSizes(64)
  for (const texts of sizes) seen.learn("m", texts, besides + each * texts)
  return seen.of("m")
}
const mixed = [1, 1, 5, 64, 12, 1, 30]

describe("BatchSizes", () => {
  it("is the largest size while nothing is known, and where all calls have one size", () => {
    assert.strictEqual(new BatchSizes(64).of("m"), 64)
    assert.strictEqual(learned(1, 13, [1, 1, 1]), 64)
    assert.strictEqual(learned(1, 13, [8, 8]), 64)
  })

  it("is as much as a tenth of the time besides the texts asks for", () => {
    // As Ollama on an H100: 13 ms for each text, one after the other.
    assert.strictEqual(learned(1, 13, mixed), 1)
    assert.strictEqual(learned(10, 13, mixed), 7)
    assert.strictEqual(learned(100, 1, mixed), 64)
  })

  it("is the largest size where texts run side by side or take no time", () => {
    assert.strictEqual(learned(14, 0.01, mixed), 64)
    assert.strictEqual(learned(14, 0, mixed), 64)
    assert.strictEqual(learned(0, 0, mixed), 64)
  })

  it("follows a backend that changes, and looks again when only small calls came", () => {
    const seen = new BatchSizes(64)
    for (const texts of mixed) seen.learn("m", texts, 1 + 13 * texts)
    for (let i = 0; i < 10; i++) for (const texts of mixed) seen.learn("m", texts, 14)
    assert.strictEqual(seen.of("m"), 64)
    for (const texts of mixed) seen.learn("n", texts, 1 + 13 * texts)
    assert.strictEqual(seen.of("n"), 1)
    for (let i = 0; i < 200; i++) seen.learn("n", 1, 14)
    assert.strictEqual(seen.of("n"), 64)
  })

  it("remembers a bounded number of models", () => {
    const seen = new BatchSizes(64)
    for (const texts of mixed) seen.learn("first", texts, 1 + 13 * texts)
    for (let i = 0; i < 256; i++) seen.learn(`m${i}`, 1, 1)
    assert.strictEqual(seen.of("first"), 64)
  })
})
