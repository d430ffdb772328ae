/** Rates and averages over the last minutes, from the sums of the state; and their lines. */
import type { State } from "./state.ts"

type Traffic = State["traffic"]

export interface Sample {
  readonly at: number
  readonly traffic: Traffic
}

/** Values of one moment; `null` where nothing is known. */
export interface Rates {
  readonly requests: number | null
  readonly failed: number | null
  readonly tokens: number | null
  readonly firstByte: number | null
}

const unknown: Rates = { requests: null, failed: null, tokens: null, firstByte: null }

/** The rates between two samples. A router that has started again counts from 0: then nothing is known. */
export const rates = (before: Sample | undefined, now: Sample): Rates => {
  if (before === undefined || now.at <= before.at || now.traffic.requests < before.traffic.requests) return unknown
  const passed = (now.at - before.at) / 1000
  const more = (name: keyof Traffic): number => now.traffic[name] - before.traffic[name]
  const average = (sum: number, count: number): number | null => count > 0 ? Math.max(0, sum / count) : null
  return {
    requests: more("requests") / passed,
    failed: (more("failed") + more("shed")) / passed,
    tokens: more("answer_tokens") / passed,
    firstByte: average(more("first_byte_seconds"), more("first_bytes")),
  }
}

/** The last samples, one a second, and the rates at each. A rate is that of the last `window` samples. */
export class History {
  private readonly size: number
  private readonly window: number
  private samples: Array<Sample | undefined> = []
  readonly points: Array<Rates> = []

  constructor(size = 120, window = 5) {
    this.size = size
    this.window = window
  }

  /** Adds a moment; `undefined` while the page has no connection. */
  add(sample: Sample | undefined): void {
    const newest = this.samples.findLast((one) => one !== undefined)
    // What was counted before a restart does not compare.
    if (sample !== undefined && newest !== undefined && sample.traffic.requests < newest.traffic.requests) {
      this.samples = []
    }
    this.samples.push(sample)
    const before = this.samples.slice(-1 - this.window).find((one) => one !== undefined)
    this.points.push(sample === undefined || before === sample ? unknown : rates(before, sample))
    if (this.samples.length > this.size) this.samples.shift()
    if (this.points.length > this.size) this.points.shift()
  }

  /** The last moment; everything is `null` before the second sample. */
  now(): Rates {
    return this.points.at(-1) ?? unknown
  }
}

/**
 * The path of a line through values, oldest first, in a box; the newest value is at its right edge. Gaps stay gaps.
 * `size` is the number of values that fill the box.
 */
export const line = (values: ReadonlyArray<number | null>, size: number, width: number, height: number): string => {
  const most = Math.max(0, ...values.map((value) => value ?? 0))
  const step = width / Math.max(1, size - 1)
  const round = (value: number): number => Math.round(value * 10) / 10
  let path = ""
  let isDown = false
  values.forEach((value, index) => {
    if (value === null) {
      isDown = false
      return
    }
    const x = round(width - (values.length - 1 - index) * step)
    const y = round(most === 0 ? height - 1 : 1 + (height - 2) * (1 - value / most))
    path += `${isDown ? "L" : "M"}${x} ${y}`
    isDown = true
  })
  return path
}
