import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { Heap, type Placed } from "../../src/support/heap.ts"

interface Item extends Placed {
  value: number
}

const small = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 50 }))

describe("Heap", () => {
  it.effect.prop(
    "the first item is the smallest, whatever was pushed, removed or changed",
    { steps: Schema.Array(Schema.Tuple([Schema.Literals(["push", "remove", "change"]), small, small])) },
    ({ steps }) =>
      Effect.sync(() => {
        const heap = new Heap<Item>((a, b) => a.value < b.value)
        const items: Array<Item> = []
        for (const [step, which, value] of steps) {
          const item = items[which % Math.max(1, items.length)]
          if (step === "push" || item === undefined) {
            const pushed = { index: -1, value }
            items.push(pushed)
            heap.push(pushed)
          } else if (step === "remove") {
            items.splice(items.indexOf(item), 1)
            heap.remove(item)
            assert.strictEqual(item.index, -1)
          } else {
            item.value = value
            heap.moved(item)
          }
          assert.strictEqual(heap.size, items.length)
          assert.strictEqual(
            heap.first()?.value,
            items.length === 0 ? undefined : Math.min(...items.map((one) => one.value)),
          )
          heap.items.forEach((one, index) => assert.strictEqual(one.index, index))
        }
      }),
    { arbitrary: { runs: 500, size: 60, seed: "heap" } },
  )

  it("does nothing to an item that is not in it", () => {
    const heap = new Heap<Item>((a, b) => a.value < b.value)
    heap.push({ index: -1, value: 1 })
    heap.remove({ index: -1, value: 2 })
    assert.strictEqual(heap.size, 1)
  })
})
