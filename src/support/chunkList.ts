/**
 * Chunks that are kept for a while.
 *
 * @since 0.1.0
 */

import { Bytes } from "effect"

const nothing = new Uint8Array(0)

/**
 * A list that is mostly empty or has one chunk. An array that is filled and emptied again and again makes a new backing
 * store each time: measured, it was most of what a stream allocated.
 *
 * @category models
 * @since 0.1.0
 */
export class ChunkList {
  first: Uint8Array | undefined = undefined
  /** What follows the first chunk. */
  more: Array<Uint8Array> | undefined = undefined

  add(chunk: Uint8Array): void {
    if (this.first === undefined) this.first = chunk
    else if (this.more === undefined) this.more = [chunk]
    else this.more.push(chunk)
  }

  all(): ReadonlyArray<Uint8Array> {
    return this.first === undefined ? [] : [this.first, ...this.more ?? []]
  }

  /** All chunks in one, without a copy when there is only one. */
  whole(): Uint8Array {
    const { first, more } = this
    if (first === undefined) return nothing
    return more === undefined ? first : Bytes.concat([first, ...more])
  }

  clear(): void {
    this.first = this.more = undefined
  }
}
