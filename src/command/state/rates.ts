/**
 * Rates and averages over the last minutes, from the sums of the state.
 *
 * @since 0.1.0
 */
import type { State, TrafficState } from "../../layers/routes/AdminApi.ts"

/** The sums at one moment, in milliseconds. @category models @since 0.1.0 */
export interface Sample {
  readonly at: number
  readonly traffic: TrafficState
  /** What the router adds, for 95 of 100 requests of the last minute. Seconds. */
  readonly routing: number | null
}

/** @category constructors @since 0.1.0 */
export const sampleOf = (at: number, { latency, traffic }: Pick<State, "latency" | "traffic">): Sample => ({
  at,
  traffic,
  // Routers before this field do not tell it.
  routing: latency?.routing.p95_seconds ?? null,
})

/** Values of one moment; `null` where nothing is known. @category models @since 0.1.0 */
export interface Rates {
  /** Requests that ended, a second. */
  readonly requests: number | null
  /** Those of them that failed or were refused because of load. */
  readonly failed: number | null
  /** Tokens of answers, a second. */
  readonly tokens: number | null
  /** What the router adds to a request, without waits: the 95th percentile of the last minute. Seconds. */
  readonly routing: number | null
  /** From the arrival of a request to its dispatch: routing and waiting. Seconds. */
  readonly dispatch: number | null
  /** From the dispatch to the first byte of the answer. Seconds. */
  readonly firstByte: number | null
}

/** @category constants @since 0.1.0 */
export const unknown: Rates = {
  requests: null,
  failed: null,
  tokens: null,
  routing: null,
  dispatch: null,
  firstByte: null,
}

/**
 * The rates between two samples. A router that has started again counts from 0: then nothing is known.
 *
 * @category constructors
 * @since 0.1.0
 */
export const rates = (before: Sample | undefined, now: Sample): Rates => {
  if (before === undefined || now.at <= before.at || now.traffic.requests < before.traffic.requests) return unknown
  const passed = (now.at - before.at) / 1000
  const more = (name: keyof TrafficState): number => now.traffic[name] - before.traffic[name]
  const average = (sum: number, count: number): number | null => count > 0 ? Math.max(0, sum / count) : null
  return {
    requests: more("requests") / passed,
    failed: (more("failed") + more("shed")) / passed,
    tokens: more("answer_tokens") / passed,
    routing: now.routing,
    dispatch: average(more("queued_seconds"), more("requests")),
    firstByte: average(more("first_byte_seconds"), more("first_bytes")),
  }
}

/** The samples and the rates at each, oldest first. @category models @since 0.1.0 */
export interface History {
  readonly samples: ReadonlyArray<Sample | undefined>
  readonly points: ReadonlyArray<Rates>
}

/** @category constants @since 0.1.0 */
export const empty: History = { samples: [], points: [] }

/** Moments that are kept, one a second. */
const size = 240
/** A rate is that of so many of the last samples. */
const window = 5

/**
 * The history with one more moment; `undefined` while there is no connection.
 *
 * @category constructors
 * @since 0.1.0
 */
export const add = ({ points, samples }: History, sample: Sample | undefined): History => {
  const newest = samples.findLast((one) => one !== undefined)
  // What was counted before a restart does not compare.
  const restarted = sample !== undefined && newest !== undefined && sample.traffic.requests < newest.traffic.requests
  const kept = [...(restarted ? [] : samples), sample].slice(-size)
  const before = kept.slice(-1 - window).find((one) => one !== undefined)
  const point = sample === undefined || before === sample ? unknown : rates(before, sample)
  return { samples: kept, points: [...points, point].slice(-size) }
}
