/**
 * API keys by their hash.
 *
 * @since 0.1.0
 */
import { hash as digest, timingSafeEqual } from "node:crypto"
import type { ApiKeys, Grant } from "../../services/ApiKeys.ts"

/** One key: its hash, and what it grants. @category models @since 0.1.0 */
export interface KeyEntry {
  /** SHA-256 of the key, in lower-case hex. */
  readonly sha256: string
  readonly grant: Grant
}

/** SHA-256 in hex. @category conversions @since 0.1.0 */
export const hash = (key: string): string => digest("sha256", key)

/**
 * The service over a list of keys.
 *
 * **Details**
 *
 * Keys are random and long, so one round of SHA-256 is enough: nobody can try a dictionary, as against passwords, and a
 * slow hash would delay every request. The key that a client sends is hashed before anything is compared. The time of
 * the search can therefore reveal only something about hashes, which a client cannot choose.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (entries: ReadonlyArray<KeyEntry>): ApiKeys["Service"] => {
  // A wrong key is compared with this, so that a wrong key and a right one take the same work.
  const nobody = { grant: undefined, sum: Buffer.alloc(32) }
  const bySum = new Map(entries.map(({ grant, sha256 }) => [sha256, { grant, sum: Buffer.from(sha256, "hex") }]))
  const byId = new Map(entries.map(({ grant }) => [grant.id, grant]))
  return {
    size: () => bySum.size,
    named: (id) => byId.get(id),
    find: (key) => {
      const sum = digest("sha256", key, "buffer")
      const { grant, sum: known } = bySum.get(sum.toString("hex")) ?? nobody
      return timingSafeEqual(known, sum) ? grant : undefined
    },
  }
}
