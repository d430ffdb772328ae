/**
 * The requests and the streams in the state of the router: the types of what `trafficSchemas.ts` encodes. Times are ISO
 * 8601, durations are seconds, sizes are bytes; `null` means "not known".
 *
 * @since 0.1.0
 */

/** A call to a backend that has not ended. @category models @since 0.1.0 */
export interface StreamState {
  /** The `X-Request-Id`. */
  readonly id: string
  readonly route: string
  readonly model: string
  readonly tenant: string
  readonly backend: string
  /** When the request came, and when it was sent to the backend. */
  readonly received_at: string
  readonly since: string
  /** From there to the first byte of the answer; `null` before it. */
  readonly first_byte_seconds: number | null
  /** Bytes of the answer so far. */
  readonly bytes: number
}

/** The calls to backends that have not ended. @category models @since 0.1.0 */
export interface StreamsState {
  readonly count: number
  /** The 100 that began first. */
  readonly oldest: ReadonlyArray<StreamState>
}

/**
 * Sums since the routes were built. A rate is the difference of two of them over the time between.
 *
 * @category models
 * @since 0.1.0
 */
export interface TrafficState {
  readonly requests: number
  readonly answered: number
  readonly refused: number
  readonly canceled: number
  /** Answered or refused with a status of 500 and above. */
  readonly failed: number
  /** Refused because of load. */
  readonly shed: number
  readonly retries: number
  readonly cold: number
  readonly prompt_tokens: number
  readonly answer_tokens: number
  readonly bytes_out: number
  readonly queued_seconds: number
  readonly first_byte_seconds: number
  /** Requests in `first_byte_seconds`. */
  readonly first_bytes: number
  readonly total_seconds: number
}

/**
 * How long a part of the way took, for the requests of the last minute. `null` where there were none.
 *
 * @category models
 * @since 0.1.0
 */
export interface LatencyState {
  /** The requests that were measured. */
  readonly measured: number
  readonly p50_seconds: number | null
  readonly p95_seconds: number | null
  readonly p99_seconds: number | null
}

/** How long requests took of late. @category models @since 0.1.0 */
export interface LatenciesState {
  /** How far back it looks. */
  readonly window_seconds: number
  /** What the router itself adds, without waits. It is measured for one request of 16. */
  readonly routing: LatencyState
  /** From the arrival to the dispatch: waits for a slot and for a load. */
  readonly queue: LatencyState
  /** From the dispatch to the first byte of the answer. */
  readonly first_byte: LatencyState
}
