/**
 * Keys by their hash.
 *
 * @since 0.1.0
 */
import { hash as digest, timingSafeEqual } from "node:crypto"
import type { ApiKeys, Grant } from "../../services/ApiKeys.ts"

/** One key. @category models @since 0.1.0 */
export interface Entry {
  /** SHA-256 of the key, in hex. */
  readonly sha256: string
  readonly grant: Grant
}

/** SHA-256 in hex. @category conversions @since 0.1.0 */
export const hash = (key: string): string => digest("sha256", key)

/**
 * **Details**
 *
 * A key is random and long, so one round of SHA-256 is enough: there is no dictionary to try, as there is for passwords, and a slow hash would cost every request
 * what it costs a thief. What is sent is hashed before anything is compared: how long the search takes can tell of nothing but a hash that nobody can choose.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (entries: ReadonlyArray<Entry>): ApiKeys["Service"] => {
  // With whom a wrong key is compared: the same work as for a right one.
  const nobody = { grant: undefined, sum: Buffer.alloc(32) }
  const bySum = new Map(entries.map(({ grant, sha256 }) => [sha256, { grant, sum: Buffer.from(sha256, "hex") }]))
  return {
    size: () => bySum.size,
    find: (key) => {
      const sum = digest("sha256", key, "buffer")
      const { grant, sum: known } = bySum.get(sum.toString("hex")) ?? nobody
      return timingSafeEqual(known, sum) ? grant : undefined
    },
  }
}
