/** The shape of a closed-loop load, for each program that can make one. */
import type { Post } from "./connection.ts"

export interface ClosedLoopAsk extends Post {
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
