/**
 * Which manifests the lists of the backends name.
 *
 * @since 0.1.0
 */

interface Digest {
  /** Rows that name it. */
  rows: number
  /** Keys of the models that have had it. */
  readonly keys: Set<string>
}

const noKeys: ReadonlySet<string> = new Set()

/** Counts the rows that name each digest. @category models @since 0.1.0 */
export class ListedDigests {
  private readonly digests = new Map<string, Digest>()
  /** Digests that no row named when the last row with it went. */
  private readonly unlisted = new Set<string>()

  add(digest: string): void {
    const known = this.digests.get(digest)
    if (known === undefined) this.digests.set(digest, { rows: 1, keys: new Set() })
    else known.rows++
  }

  remove(digest: string): void {
    const known = this.digests.get(digest)
    if (known !== undefined && --known.rows === 0) this.unlisted.add(digest)
  }

  /** A model has this digest on some backend. */
  name(digest: string, key: string): void {
    this.digests.get(digest)?.keys.add(key)
  }

  /** The models that have the digest on some backend, or had it. */
  keys(digest: string): ReadonlySet<string> {
    return this.digests.get(digest)?.keys ?? noKeys
  }

  /** Forgets the digests that no row names any more, and returns them. */
  takeUnlisted(): ReadonlyArray<string> {
    const gone = Array.from(this.unlisted).filter((digest) => this.digests.get(digest)?.rows === 0)
    this.unlisted.clear()
    for (const digest of gone) this.digests.delete(digest)
    return gone
  }
}
