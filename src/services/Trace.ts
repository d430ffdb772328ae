/**
 * The place of a request in a trace. A request only notes times in it; spans are made later, from its record.
 *
 * @since 0.1.0
 */
import type { Outcome } from "./Outcome.ts"

/**
 * One exchange with a backend, for its span. Times are milliseconds by the router's clock.
 *
 * @category models
 * @since 0.1.0
 */
export interface TracedAttempt {
  /** 16 hexadecimal digits. Set by `Trace.spanOf`. */
  spanId: string | undefined
  /** Id of the backend. */
  readonly backend: string
  readonly url: string
  readonly sentAt: number
  firstByteAt: number | undefined
  /** `undefined` while it goes on. */
  endedAt: number | undefined
  outcome: Outcome | undefined
}

/**
 * The place of a request in a trace. Ids are hexadecimal digits in lower case: 32 of a trace, 16 of a span.
 *
 * @category models
 * @since 0.1.0
 */
export interface Trace {
  /** Whether it was chosen when the request came. If so, its backends are told, and its spans are exported. */
  readonly sampled: boolean
  readonly traceId: string
  /** The span of the request. */
  readonly spanId: string
  /** The client's span; `undefined` where the request begins the trace. */
  readonly parentId: string | undefined
  /** The `tracestate` that came with the request. */
  readonly state: string | undefined
  /** The exchanges with backends, in the order in which they were sent. */
  readonly attempts: ReadonlyArray<TracedAttempt>
  /** Adds one to them. */
  readonly add: (attempt: TracedAttempt) => void
  /** The span of one of its exchanges. It is made when it is first asked for. */
  readonly spanOf: (attempt: TracedAttempt) => string
  /** The value of `traceparent` that tells a backend about its exchange. */
  readonly traceparent: (attempt: TracedAttempt) => string
  /** The same place in the trace, for a call that several requests share: with attempts of its own. */
  readonly shared: () => Trace
}
