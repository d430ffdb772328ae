/**
 * Memory on its way back: when it is believed to be there.
 *
 * @since 0.1.0
 */
import type { ChargedAllocation } from "./chargedAllocation.ts"
import type { DeviceBook } from "./deviceBook.ts"

/** So much of a release has to be back before it is believed: Ollama's own measure (`server/sched.go`). */
const releasedPart = 0.75

type Books = ReadonlyMap<string, DeviceBook>

/** A release begins. @category mutations @since 0.1.0 */
export const begin = (allocation: ChargedAllocation, books: Books, now: number, seq: number): void => {
  allocation.releasingAt = now
  allocation.releasingSeq = seq
  for (const device of allocation.seen) {
    const free = books.get(device)?.free
    if (free !== undefined) allocation.freeBefore.set(device, free)
  }
  // Its memory may be among what the next reading calls free: it will not count as seen.
  allocation.residentSeq = Infinity
}

/** Whether the memory is there, or has been waited for long enough. */
const released = (allocation: ChargedAllocation, books: Books, now: number, timeout: number): boolean => {
  if (now - allocation.releasingAt >= timeout) return true
  return allocation.freeBefore.size > 0 && allocation.parts.every(({ bytes, device }) => {
    const book = books.get(device)
    const before = allocation.freeBefore.get(device)
    return book?.free !== undefined && before !== undefined && book.readSeq > allocation.releasingSeq &&
      book.free - before >= releasedPart * bytes
  })
}

/** Lets go of what has come back. @category mutations @since 0.1.0 */
export const settle = (held: Iterable<ChargedAllocation>, books: Books, now: number, timeout: number): void => {
  for (const allocation of Array.from(held)) {
    if (allocation.current !== "releasing" || !released(allocation, books, now, timeout)) continue
    const [only, ...others] = allocation.parts
    const book = only === undefined ? undefined : books.get(only.device)
    // Nothing was read since, so what was known to be its memory is taken for free. Where it was on several devices nobody knows how much on which.
    const unread = book !== undefined && others.length === 0 && book.readSeq < allocation.releasingSeq
    if (unread && allocation.freeBefore.has(book.uuid)) book.assumeBack(Math.min(allocation.bytes, allocation.observed))
    allocation.move("gone")
  }
}
