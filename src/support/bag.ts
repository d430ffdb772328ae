/**
 * A set for objects that come and go thousands of times a second.
 *
 * @since 0.1.0
 */

/**
 * An object that a bag can hold. `slot` is its index in the bag, or -1 while it is in none.
 *
 * @category models
 * @since 0.1.0
 */
export interface Slotted {
  slot: number
}

/**
 * An unordered set of objects. Each object keeps its own index, so that adding and removing take constant time.
 *
 * **Details**
 *
 * Not a `Set`, because of V8's garbage collector: when the hash table of a `Set` grows, the old table keeps a pointer
 * to the new one. Once an old table is in the old generation, every later table and its contents stay alive until the
 * next full collection. Measured: 100 MB of finished requests in two seconds, and a p99 of 20 ms.
 *
 * @category models
 * @since 0.1.0
 */
export class Bag<A extends Slotted> {
  private readonly items: Array<A> = []

  get size(): number {
    return this.items.length
  }

  add(item: A): void {
    item.slot = this.items.length
    this.items.push(item)
  }

  /** Removes an item and returns whether the bag had it. */
  remove(item: A): boolean {
    const { slot } = item
    if (slot < 0) return false
    item.slot = -1
    const last = this.items.pop()!
    if (last !== item) {
      this.items[slot] = last
      last.slot = slot
    }
    return true
  }

  /**
   * Removes all items. A bag that ends with its request has to be emptied: if its array is in V8's old generation, the
   * items in it stay alive until the next full collection.
   */
  clear(): void {
    for (const item of this.items) item.slot = -1
    this.items.length = 0
  }

  find(matches: (item: A) => boolean): A | undefined {
    return this.items.find(matches)
  }

  /** A copy, so that the caller can add and remove items while it iterates. */
  snapshot(): ReadonlyArray<A> {
    return this.items.slice()
  }
}
