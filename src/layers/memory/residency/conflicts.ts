/**
 * Which models of one backend push each other out of memory. Used where only the backend knows what fits.
 *
 * @since 0.1.0
 */

/**
 * Pairs of models that do not fit together, learnt from what each load did to the models that were resident before it.
 * A pair that was never observed is no conflict.
 *
 * @category models
 * @since 0.1.0
 */
export class Conflicts {
  /** Each pair is stored in both directions. */
  private readonly pairs = new Map<string, Set<string>>()

  /** Keys of the models that are in conflict with this one. */
  of(key: string): ReadonlySet<string> {
    return this.pairs.get(key) ?? none
  }

  /**
   * Learns from a load that has ended. Of the models that were resident before, one that is gone was pushed out, so
   * is a conflict. One that is still resident fits beside the loaded model, so is no conflict any more.
   */
  learn(loaded: string, before: ReadonlyArray<string>, isResident: (key: string) => boolean): void {
    for (const key of before) {
      if (key === loaded) continue
      if (isResident(key)) this.remove(loaded, key)
      else this.add(loaded, key)
    }
  }

  private add(a: string, b: string): void {
    this.addOneWay(a, b)
    this.addOneWay(b, a)
  }

  private addOneWay(a: string, b: string): void {
    const conflicts = this.pairs.get(a)
    if (conflicts === undefined) this.pairs.set(a, new Set([b]))
    else conflicts.add(b)
  }

  private remove(a: string, b: string): void {
    this.pairs.get(a)?.delete(b)
    this.pairs.get(b)?.delete(a)
  }
}

const none: ReadonlySet<string> = new Set()
