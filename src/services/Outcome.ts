/**
 * How an attempt ended, and whether the backend, the client or load was the cause.
 *
 * @since 0.1.0
 */

/**
 * - `success`: the answer is complete.
 * - `failure`: connection refused or reset, a timeout, a status 5xx, an error record in a stream.
 * - `ignored`: the backend is not the cause: a status 4xx, a missing model, a client that left, a stream that came to
 *   its end without its last record.
 * - `saturated`: status 429, or 503 with a message that the backend is busy. It lowers the limit of streams and never
 *   opens the breaker.
 *
 * @category models
 * @since 0.1.0
 */
export type OutcomeKind = "success" | "failure" | "ignored" | "saturated"

/**
 * What the backend reports about its work at the end of a complete answer. A field is `undefined` where the backend
 * does not report it.
 *
 * @category models
 * @since 0.1.0
 */
export interface AnswerUsage {
  /** Tokens of the whole prompt, with those that were cached. */
  readonly promptTokens: number | undefined
  readonly answerTokens: number | undefined
  /**
   * Milliseconds that the request waited inside the backend for a free slot of a model in memory. Only Ollama's own
   * API reports it, and not for embeddings.
   */
  readonly slotWaitMillis: number | undefined
}

/**
 * How an attempt ended.
 *
 * @category models
 * @since 0.1.0
 */
export interface Outcome {
  readonly kind: OutcomeKind
  /**
   * A short text from a closed set, for metrics and events: `ok`, `refused`, `reset`, `first-byte-timeout`,
   * `http-500`, `truncated`, `client-gone`, ...
   */
  readonly cause: string
  /** Milliseconds from sending to the first byte of the answer, if there was one. */
  readonly firstByteMillis?: number | undefined
  /** Milliseconds from sending to the last byte of a complete answer. */
  readonly totalMillis?: number | undefined
  /** The longest time, in milliseconds, between two chunks of a complete answer; absent where it had one chunk. */
  readonly longestGapMillis?: number | undefined
  readonly usage?: AnswerUsage | undefined
}

/** The answer is complete. @category constructors @since 0.1.0 */
export const success: Outcome = { kind: "success", cause: "ok" }
/** The client left. @category constructors @since 0.1.0 */
export const clientGone: Outcome = { kind: "ignored", cause: "client-gone" }
/** The lease was released without an attempt. @category constructors @since 0.1.0 */
export const unused: Outcome = { kind: "ignored", cause: "unused" }
/** The backend does not have the path of the call. @category constructors @since 0.1.0 */
export const notOffered: Outcome = { kind: "ignored", cause: "not-offered" }
/** Aborted, because another attempt of the same request answered first. @category constructors @since 0.1.0 */
export const hedged: Outcome = { kind: "ignored", cause: "hedged" }

/**
 * Causes of a failure to reach the backend: no connection, or a connection that broke before the answer began.
 *
 * @category constants
 * @since 0.1.0
 */
export const connectCauses: ReadonlySet<string> = new Set(["refused", "connect-timeout", "reset", "protocol"])

/** Whether an outcome is a failure to reach the backend. @category predicates @since 0.1.0 */
export const isConnectFailure = (outcome: Outcome): boolean =>
  outcome.kind === "failure" && connectCauses.has(outcome.cause)
