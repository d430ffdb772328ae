/**
 * All spans of a request, made from its record.
 *
 * @since 0.1.0
 */
import type { RequestSettled } from "../../services/RouterEvents.ts"
import type { Trace, TracedAttempt } from "../../services/Trace.ts"
import * as AttemptSpans from "./attemptSpans.ts"
import * as Ids from "./ids.ts"
import * as Span from "./span.ts"

/** A name may be as long as the client wants. */
const modelMax = 200

/** A part of the time of a request in which nothing was sent. */
interface Stage {
  readonly name: string
  readonly from: number | undefined
  readonly to: number
}

/**
 * Where the time before each attempt went: the guards, the queue, the load of the model. A stage of no time is left
 * out.
 * The queue is what is left before an attempt, and before the end of a request that never had one.
 */
const stages = (event: RequestSettled, attempts: ReadonlyArray<TracedAttempt>): ReadonlyArray<Stage> => {
  const { askedAt, at, loadingAt, receivedAt } = event
  const found: Array<Stage> = [{ name: "guards", from: receivedAt, to: askedAt ?? at }]
  let from = askedAt
  let loading = loadingAt
  const wait = (until: number): void => {
    if (loading !== undefined && loading <= until) {
      found.push({ name: "queue", from, to: loading }, { name: "load", from: loading, to: until })
      loading = undefined
    } else found.push({ name: "queue", from, to: until })
  }
  for (const { endedAt, sentAt } of attempts) {
    // A hedged attempt is sent while another goes on.
    if (from === undefined || sentAt >= from) wait(sentAt)
    from = Math.max(from ?? 0, endedAt ?? at)
  }
  if (attempts.length === 0 && event.settled.coalesced === undefined) wait(at)
  return found.filter(({ from, to }) => from !== undefined && to > from)
}

/** Why a request failed that was answered with an error of the server, or not to its end. @internal */
export const failure = ({ settled: { outcome, refusal, result, status } }: RequestSettled): string | undefined => {
  if (result === "canceled") return undefined
  if (status >= 500) return refusal?.reason ?? outcome?.cause ?? String(status)
  const broken = outcome !== undefined && (outcome.kind === "failure" || outcome.cause === "truncated")
  return broken && result === "answered" ? outcome.cause : undefined
}

const attributes = (event: RequestSettled): Span.Attributes => {
  const { bytesIn, bytesOut, cold, id, route, settled, tenant } = event
  return {
    "http.request.method": "POST",
    "http.route": route,
    "url.path": route,
    "http.response.status_code": settled.result === "canceled" ? undefined : settled.status,
    "http.request.body.size": bytesIn,
    "http.response.body.size": bytesOut,
    ...AttemptSpans.asked(event),
    "llamero.request.id": id,
    "llamero.tenant": tenant,
    "llamero.result": settled.result,
    "llamero.refusal": settled.refusal?.reason,
    "llamero.backend": settled.backend,
    "llamero.attempts": settled.attempts,
    "llamero.coalesced": settled.coalesced,
    "llamero.cold": cold === true ? true : undefined,
  }
}

/** The spans of a call that this request's answer came from, and the link to it where it has no such spans itself. */
const exchanges = (event: RequestSettled, trace: Trace, source: Ids.Source) => {
  const { call, coalesced } = event.settled
  const carrier = call ?? trace
  const last = carrier.attempts.at(-1)
  const isOwn = carrier.spanId === trace.spanId
  const links = isOwn || last === undefined ? [] : [{ traceId: carrier.traceId, spanId: carrier.spanOf(last) }]
  // The record of the first client of a shared call tells of its attempts, whoever began it.
  const spans = coalesced === undefined ? AttemptSpans.make(carrier, event, event.at, source) : []
  return { attempts: coalesced === undefined ? carrier.attempts : [], links, spans }
}

/** How many spans `make` makes. @internal */
export const count = (event: RequestSettled, trace: Trace): number => {
  const { call, coalesced } = event.settled
  const carrier = call ?? trace
  return coalesced === undefined
    ? 1 + stages(event, carrier.attempts).length + AttemptSpans.count(carrier)
    : 1 + stages(event, []).length
}

/** @internal */
export const make = (settled: RequestSettled, trace: Trace, source: Ids.Source): ReadonlyArray<Span.Span> => {
  const event = { ...settled, asked: settled.asked?.slice(0, modelMax), model: settled.model.slice(0, modelMax) }
  const { spanId, state, traceId } = trace
  const { arrivedAt, at, receivedAt = at - event.totalMillis } = event
  const { attempts, links, spans } = exchanges(event, trace, source)
  const placed = attempts.map(({ backend, sentAt }) => ({
    name: "placed",
    at: sentAt,
    attributes: { "llamero.backend": backend },
  }))
  const request = Span.make({
    traceId,
    spanId,
    parentId: trace.parentId,
    state,
    name: `POST ${event.route}`,
    kind: "server",
    from: arrivedAt ?? receivedAt,
    to: at,
    error: failure(event),
    attributes: attributes(event),
    events: [{ name: "body_read", at: receivedAt }, ...placed],
    links,
  })
  const waited = stages(event, attempts).map(({ from, name, to }) =>
    Span.make({
      traceId,
      spanId: Ids.span(source),
      parentId: spanId,
      state,
      name,
      kind: "internal",
      from: from ?? to,
      to,
    })
  )
  return [request, ...waited, ...spans]
}
