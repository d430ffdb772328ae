/**
 * How many requests the flows of one weight have.
 *
 * @since 0.1.0
 */

/**
 * The sizes of many flows, such that the sum of all sizes, each cut at a limit, takes O(log n) and not a look at each
 * flow. A Fenwick tree (Fenwick 1994) over the number of flows that have at least so many requests: that sum is its
 * prefix up to the limit.
 *
 * @category models
 * @since 0.1.0
 */
export class QueueSizes {
  /** From index 1; its last index is a power of two. */
  private tree: Array<number> = [0, 0]
  private total = 0

  /** A flow has one request more, `size` in all. */
  grew(size: number): void {
    while (size >= this.tree.length) this.double()
    this.add(size, 1)
  }

  /** A flow that had `size` requests has one less. */
  shrank(size: number): void {
    this.add(size, -1)
  }

  /** The sum of all sizes, where a larger one counts as `limit`. */
  sum(limit: number): number {
    if (limit >= this.tree.length - 1) return this.total
    let sum = 0
    for (let i = limit; i > 0; i -= i & -i) sum += this.tree[i]!
    return sum
  }

  private add(size: number, change: 1 | -1): void {
    this.total += change
    for (let i = size; i < this.tree.length; i += i & -i) this.tree[i] = this.tree[i]! + change
  }

  /** The new half is empty but for its last node, which covers everything. */
  private double(): void {
    const last = this.tree.length - 1
    for (let i = 1; i < last; i++) this.tree.push(0)
    this.tree.push(this.total)
  }
}
