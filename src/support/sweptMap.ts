/**
 * A map for keys that come and go: tenants, backends, models.
 *
 * @since 0.1.0
 */

/** @category models @since 0.1.0 */
export interface Options<V> {
  /** Size at which unused entries are first looked for. Defaults to 256. */
  readonly sweepAt?: number | undefined
  /** Whether an entry may go. Defaults to every entry. */
  readonly isIdle?: ((value: V) => boolean) | undefined
  /** Called with an entry that goes, and not with one that is deleted. */
  readonly dropped?: ((value: V) => void) | undefined
}

interface Entry<V> {
  value: V
  /** Whether it came after the last sweep. */
  fresh: boolean
  /** Whether it was read or written since the last sweep. */
  used: boolean
}

/**
 * Drops entries that nobody has used between two sweeps. A sweep comes when as many entries are new as are in use, so
 * it costs no entry more than a constant time, and the map is never larger than three times what is in use, or twice
 * its first size. Nothing is deleted per use: a `Map` that gains and loses an entry for each request is slow (see
 * `Bag`).
 *
 * @category models
 * @since 0.1.0
 */
export class SweptMap<V> {
  private readonly entries = new Map<string, Entry<V>>()
  private readonly sweepAt: number
  private readonly isIdle: (value: V) => boolean
  private readonly dropped: (value: V) => void
  private nextAt: number

  constructor(options?: Options<V>) {
    this.sweepAt = options?.sweepAt ?? 256
    this.isIdle = options?.isIdle ?? (() => true)
    this.dropped = options?.dropped ?? (() => {})
    this.nextAt = this.sweepAt
  }

  get size(): number {
    return this.entries.size
  }

  get(key: string): V | undefined {
    const entry = this.entries.get(key)
    if (entry === undefined) return undefined
    entry.used = true
    return entry.value
  }

  set(key: string, value: V): void {
    const entry = this.entries.get(key)
    if (entry !== undefined) {
      entry.value = value
      entry.used = true
      return
    }
    if (this.entries.size >= this.nextAt) this.sweep()
    this.entries.set(key, { value, fresh: true, used: true })
  }

  /** The value of a key, made when there is none. */
  getOrMake(key: string, make: () => V): V {
    const known = this.get(key)
    if (known !== undefined) return known
    const made = make()
    this.set(key, made)
    return made
  }

  delete(key: string): void {
    this.entries.delete(key)
  }

  /** Does not count as use. */
  *values(): Generator<V, void> {
    for (const { value } of this.entries.values()) yield value
  }

  /** Does not count as use. */
  *pairs(): Generator<readonly [string, V], void> {
    for (const [key, { value }] of this.entries) yield [key, value]
  }

  private sweep(): void {
    let inUse = 0
    for (const [key, entry] of this.entries) {
      if (entry.fresh) entry.fresh = false
      else if (entry.used || !this.isIdle(entry.value)) inUse++
      else {
        this.entries.delete(key)
        this.dropped(entry.value)
      }
      entry.used = false
    }
    this.nextAt = this.entries.size + Math.max(this.sweepAt / 2, inUse)
  }
}
