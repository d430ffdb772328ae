/** Random numbers that depend on a seed only. */
export class SeededRandom {
  private state: number
  constructor(seed: number) {
    // Spreads neighbouring seeds, which would otherwise begin with similar numbers.
    this.state = Math.imul(seed ^ 0x9e3779b9, 0x85ebca6b) >>> 0
    for (let i = 0; i < 4; i++) this.next()
  }
  /** A number in [0, 1), by the generator mulberry32. */
  next(): number {
    this.state = (this.state + 0x6d2b79f5) >>> 0
    let t = Math.imul(this.state ^ (this.state >>> 15), 1 | this.state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
  /** `true` with this probability. */
  chance(probability: number): boolean {
    return this.next() < probability
  }
  /** A whole number from `low` to `high`, both included. */
  between(low: number, high: number): number {
    return low + Math.floor(this.next() * (high - low + 1))
  }
  /** One of these. */
  pick<A>(from: ReadonlyArray<A>): A {
    return from[Math.floor(this.next() * from.length)]!
  }
  /** A gap between two arrivals: exponentially distributed, with this mean. */
  gap(mean: number): number {
    return -mean * Math.log(1 - this.next())
  }
}
