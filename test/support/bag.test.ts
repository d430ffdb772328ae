import { assert, it } from "@effect/vitest"
import { Bag } from "../../src/support/bag.ts"

it("after clear the bag is empty, and the items it had cannot be removed", () => {
  const bag = new Bag<{ slot: number }>()
  const [a, b, c] = [{ slot: -1 }, { slot: -1 }, { slot: -1 }]
  bag.add(a)
  bag.add(b)
  bag.clear()
  assert.strictEqual(bag.size, 0)
  assert.isFalse(bag.remove(a))
  bag.add(c)
  assert.isFalse(bag.remove(b))
  assert.deepStrictEqual(bag.snapshot(), [c])
  assert.isTrue(bag.remove(c))
})
