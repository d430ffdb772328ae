import { assert, describe, it } from "@effect/vitest"
import * as Live from "../../src/services/Live.ts"

describe("Live", () => {
  it("a fixed option is a live value that never changes, whatever it is", () => {
    for (const fixed of [0, "", undefined, [], { now: 1 }, () => 1]) {
      assert.isFalse(Live.isLive(fixed))
      assert.strictEqual(Live.of<unknown>(fixed).now, fixed)
    }
    const live = Live.make(1)
    assert.isTrue(Live.isLive(live))
    assert.strictEqual(Live.of<number>(live), live)
  })

  it("what follows from a value is made once for each value, and read anew after each change", () => {
    const live = Live.make({ size: 1 })
    const seen: Array<number> = []
    const doubled = Live.map(live, ({ size }) => {
      seen.push(size)
      return size * 2
    })
    assert.deepStrictEqual([doubled.now, doubled.now, seen.length], [2, 2, 1])
    live.set({ size: 5 })
    live.set({ size: 7 })
    assert.deepStrictEqual([doubled.now, doubled.now], [14, 14])
    assert.deepStrictEqual(seen, [1, 7])
    assert.strictEqual(Live.map(doubled, (value) => value + 1).now, 15)
    live.set({ size: 0 })
    assert.strictEqual(Live.map(doubled, (value) => value + 1).now, 1)
  })

  it("a first value that is wrong throws at once; a later one throws until it is replaced", () => {
    const checked = (value: number) => {
      if (value < 0) throw new RangeError("below 0")
      return value
    }
    assert.throws(() => Live.map(Live.make(-1), checked), RangeError)
    const live = Live.make(1)
    const mapped = Live.map(live, checked)
    live.set(-1)
    assert.throws(() => mapped.now, RangeError)
    assert.throws(() => mapped.now, RangeError)
    live.set(2)
    assert.strictEqual(mapped.now, 2)
  })
})
