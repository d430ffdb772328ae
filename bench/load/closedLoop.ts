/** The shape of a closed-loop load, for each program that can make one. */

export interface ClosedLoopAsk {
  readonly port: number
  readonly body: string
  readonly connections: number
  readonly seconds: number
}

/** Percentiles in milliseconds. */
export interface Answered {
  readonly answers: number
  readonly seconds: number
  readonly p50: number
  readonly p95: number
  readonly p99: number
  readonly errors: number
}

export type ClosedLoop = (ask: ClosedLoopAsk) => Promise<Answered>
