/**
 * Flights and batches under way, by key.
 *
 * @since 0.1.0
 */
import { Bag, type Slotted } from "../../support/bag.ts"

/** @internal */
export interface Keyed extends Slotted {
  readonly key: string
}

const size = 256

/**
 * A fixed number of bags. A `Map` would gain and lose an entry with each request, which is slow: `Bag` explains why.
 *
 * @internal
 */
export class Table<A extends Keyed> {
  private readonly bags: ReadonlyArray<Bag<A>> = Array.from({ length: size }, () => new Bag<A>())

  find(key: string): A | undefined {
    return this.bagOf(key).find((item) => item.key === key)
  }

  add(item: A): void {
    this.bagOf(item.key).add(item)
  }

  remove(item: A): void {
    this.bagOf(item.key).remove(item)
  }

  /** Keys are digests, so any two letters of them spread the items evenly. */
  private bagOf(key: string): Bag<A> {
    return this.bags[(key.charCodeAt(0) * 31 + key.charCodeAt(1)) % size]!
  }
}
