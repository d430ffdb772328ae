/**
 * Quantiles of a time over the last minute, in memory of a fixed size.
 *
 * @since 0.1.0
 */
import type { LatencyState } from "./trafficStates.ts"

/** Buckets for each doubling: what is read differs from the true value by at most a twentieth. */
const perDoubling = 8
/** The upper end of the first bucket: a microsecond, in milliseconds. */
const least = 0.001
/** Enough for 1 µs to 18 minutes. Longer times are in the last one. */
const buckets = 30 * perDoubling + 1
/** A slice is dropped as a whole when it is a minute old. So between 55 and 60 seconds are read. */
const sliceMillis = 5000
const slices = 12

/** The time that {@link Quantiles} looks back on, in seconds. @category constants @since 0.1.0 */
export const windowSeconds = slices * sliceMillis / 1000

const bucketOf = (millis: number): number =>
  millis > least ? Math.min(buckets - 1, 1 + Math.floor(Math.log2(millis / least) * perDoubling)) : 0

/** The middle of a bucket, in seconds. Times in the first one are as good as none. */
const secondsOf = (bucket: number): number =>
  bucket === 0 ? 0 : Number((least * 2 ** ((bucket - 0.5) / perDoubling) / 1000).toPrecision(3))

/** One count for each bucket and slice: 12 kB. @category models @since 0.1.0 */
export class Quantiles {
  private readonly counts = Array.from({ length: slices }, () => new Uint32Array(buckets))
  /** The number of the slice that each array holds now. */
  private readonly held = new Array<number>(slices).fill(-Infinity)

  /** Adds a time. `at` is the moment, in milliseconds by the router's clock. */
  add(millis: number, at: number): void {
    const slice = Math.floor(at / sliceMillis)
    const index = slice % slices
    if (this.held[index] !== slice) {
      this.counts[index]!.fill(0)
      this.held[index] = slice
    }
    this.counts[index]![bucketOf(millis)]!++
  }

  /** What the last minute has shown; `null` where it has shown nothing. */
  read(now: number): LatencyState {
    const newest = Math.floor(now / sliceMillis)
    const sums = new Array<number>(buckets).fill(0)
    let measured = 0
    this.counts.forEach((counts, index) => {
      const age = newest - this.held[index]!
      if (age < 0 || age >= slices) return
      counts.forEach((count, bucket) => {
        sums[bucket]! += count
        measured += count
      })
    })
    const quantile = (part: number): number | null => {
      let seen = 0
      const bucket = sums.findIndex((count) => (seen += count) >= part * measured)
      return measured === 0 ? null : secondsOf(bucket)
    }
    return {
      measured,
      p50_seconds: quantile(0.5),
      p95_seconds: quantile(0.95),
      p99_seconds: quantile(0.99),
    }
  }
}
