/**
 * Notes the exchanges with backends in the trace of a request. Does nothing where there is no tracing.
 *
 * @since 0.1.0
 */
import type { Backend } from "../../services/Fleet.ts"
import { clientGone, type Outcome } from "../../services/Outcome.ts"
import type { Trace, TracedAttempt } from "../../services/Trace.ts"
import * as TraceContext from "../../wire/traceContext.ts"

/**
 * A call is sent. If the request is sampled, the call's headers get the span of this attempt as their parent. If not,
 * what the client sent stays in them.
 *
 * @internal
 */
export const sent = (trace: Trace, { id, url }: Backend, headers: Array<string>, now: number): void => {
  const attempt: TracedAttempt = {
    spanId: undefined,
    backend: id,
    url,
    sentAt: now,
    firstByteAt: undefined,
    endedAt: undefined,
    outcome: undefined,
  }
  trace.add(attempt)
  if (trace.sampled) TraceContext.replace(headers, trace.traceparent(attempt), trace.state)
}

/** The attempt that goes on at a backend has ended. @internal */
export const ended = (
  trace: Trace | undefined,
  backend: string,
  outcome: Outcome,
  firstByteAt: number | undefined,
  now: number,
): void => {
  if (trace === undefined) return
  const { attempts } = trace
  for (let i = attempts.length - 1; i >= 0; i--) {
    const attempt = attempts[i]!
    if (attempt.backend !== backend || attempt.endedAt !== undefined) continue
    attempt.endedAt = now
    attempt.firstByteAt = firstByteAt
    attempt.outcome = outcome
    return
  }
}

/**
 * No attempt goes on any more. The one at `backend` has ended with `outcome`; without one the client has left, and so
 * has it where there is another attempt.
 *
 * @internal
 */
export const endAll = (
  trace: Trace | undefined,
  backend: string | undefined,
  outcome: Outcome | undefined,
  firstByteAt: number | undefined,
  now: number,
): void => {
  if (trace === undefined) return
  if (backend !== undefined) ended(trace, backend, outcome ?? clientGone, firstByteAt, now)
  for (const { backend: other, endedAt } of trace.attempts) {
    if (endedAt === undefined) ended(trace, other, clientGone, undefined, now)
  }
}
