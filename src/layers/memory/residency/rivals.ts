/**
 * Which models of one backend push each other out of memory, where only the backend knows what fits.
 *
 * @since 0.1.0
 */

/**
 * Learnt from what a load did to those that were there. A pair that was never seen is none.
 *
 * @category models
 * @since 0.1.0
 */
export class Rivals {
  /** Both ways. */
  private readonly pairs = new Map<string, Set<string>>()

  of(key: string): ReadonlySet<string> {
    return this.pairs.get(key) ?? none
  }

  /** A load has ended: of those that were there before, who is gone was pushed out, and who is there fits beside it after all. */
  learn(loaded: string, before: ReadonlyArray<string>, isThere: (key: string) => boolean): void {
    for (const key of before) {
      if (key === loaded) continue
      if (isThere(key)) this.part(loaded, key)
      else this.pair(loaded, key)
    }
  }

  private pair(a: string, b: string): void {
    this.add(a, b)
    this.add(b, a)
  }

  private add(a: string, b: string): void {
    const rivals = this.pairs.get(a)
    if (rivals === undefined) this.pairs.set(a, new Set([b]))
    else rivals.add(b)
  }

  private part(a: string, b: string): void {
    this.pairs.get(a)?.delete(b)
    this.pairs.get(b)?.delete(a)
  }
}

const none: ReadonlySet<string> = new Set()
