/**
 * A binary heap whose items know their index, so that any item can be removed in O(log n).
 *
 * @since 0.1.0
 */

/** An item of a heap. The heap keeps `index`: its index in `items`, or -1. @category models @since 0.1.0 */
export interface Placed {
  index: number
}

/** A binary heap: `before` says which of two items comes first. @category models @since 0.1.0 */
export class Heap<A extends Placed> {
  /** In heap order: the first item comes before all others, which are in no order. Do not change it. */
  readonly items: Array<A> = []
  private readonly before: (a: A, b: A) => boolean

  constructor(before: (a: A, b: A) => boolean) {
    this.before = before
  }

  get size(): number {
    return this.items.length
  }

  first(): A | undefined {
    return this.items[0]
  }

  push(item: A): void {
    item.index = this.items.length
    this.items.push(item)
    this.up(item)
  }

  remove(item: A): void {
    const { index } = item
    if (index < 0) return
    item.index = -1
    const last = this.items.pop()!
    if (last === item) return
    this.put(last, index)
    this.moved(last)
  }

  /** Puts an item in its place again after its order has changed. */
  moved(item: A): void {
    this.up(item)
    this.down(item)
  }

  private put(item: A, index: number): void {
    this.items[index] = item
    item.index = index
  }

  private up(item: A): void {
    while (item.index > 0) {
      const parent = this.items[(item.index - 1) >> 1]!
      if (!this.before(item, parent)) return
      const at = parent.index
      this.put(parent, item.index)
      this.put(item, at)
    }
  }

  private down(item: A): void {
    for (;;) {
      const left = this.items[2 * item.index + 1]
      if (left === undefined) return
      const right = this.items[2 * item.index + 2]
      const child = right !== undefined && this.before(right, left) ? right : left
      if (!this.before(child, item)) return
      const at = child.index
      this.put(child, item.index)
      this.put(item, at)
    }
  }
}
