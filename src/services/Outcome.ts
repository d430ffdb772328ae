/**
 * What an attempt says about a backend.
 *
 * @since 0.1.0
 */

/**
 * - `success`: the answer came whole.
 * - `failure`: refused, reset, timed out, 5xx, a stream without its terminator.
 * - `ignored`: the client's fault or choice: 4xx, model missing, client gone.
 * - `saturated`: 429 or 503 busy. It lowers concurrency and never trips the breaker.
 *
 * @category models
 * @since 0.1.0
 */
export type OutcomeKind = "success" | "failure" | "ignored" | "saturated"

/**
 * What the backend said about its work, at the end of an answer that came whole. Each is `undefined` where it did not say.
 *
 * @category models
 * @since 0.1.0
 */
export interface Usage {
  /** Of the whole prompt, what was cached included. */
  readonly promptTokens: number | undefined
  readonly answerTokens: number | undefined
  /** Milliseconds the request waited inside the backend for a free slot of a model that was in memory. Native answers only, and none for embeddings. */
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
  /** Short and from a closed set, for metrics and events: `ok`, `refused`, `reset`, `first-byte-timeout`, `http-500`, `truncated`, `client-gone`, ... */
  readonly cause: string
  /** Milliseconds from sending to the backend's first byte, where one came. */
  readonly firstByteMillis?: number | undefined
  /** Milliseconds from sending to the last byte, of an answer that came whole. */
  readonly totalMillis?: number | undefined
  readonly usage?: Usage | undefined
}

/** The answer came whole. @category constructors @since 0.1.0 */
export const success: Outcome = { kind: "success", cause: "ok" }
/** The client left. @category constructors @since 0.1.0 */
export const clientGone: Outcome = { kind: "ignored", cause: "client-gone" }
/** Released without having been used. @category constructors @since 0.1.0 */
export const unused: Outcome = { kind: "ignored", cause: "unused" }
/** Aborted, since another attempt of the same request answered first. @category constructors @since 0.1.0 */
export const hedged: Outcome = { kind: "ignored", cause: "hedged" }

/**
 * Causes of a failure to reach the backend: no connection, or one that broke before an answer began.
 *
 * @category constants
 * @since 0.1.0
 */
export const connectCauses: ReadonlySet<string> = new Set(["refused", "connect-timeout", "reset", "protocol"])

/** Whether an outcome is a failure to reach the backend at all. @category predicates @since 0.1.0 */
export const isConnectFailure = (outcome: Outcome): boolean =>
  outcome.kind === "failure" && connectCauses.has(outcome.cause)
