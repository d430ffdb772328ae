/**
 * The spans of the exchanges of a request with backends, by the conventions of OpenTelemetry for calls of models.
 *
 * @since 0.1.0
 */
import type { RequestSettled } from "../../services/RouterEvents.ts"
import type { Trace, TracedAttempt } from "../../services/Trace.ts"
import * as Ids from "./ids.ts"
import * as Span from "./span.ts"

/** What a trace needs to know of a request about its attempts. @internal */
export type Asked = Pick<RequestSettled, "asked" | "kind" | "known" | "model">

const operations = { chat: "chat", generate: "text_completion", embed: "embeddings", transcribe: "transcribe" } as const

/**
 * What was asked for, of whom. The model that answers is known once the router has found the client's in its catalog.
 *
 * @internal
 */
export const asked = ({ asked, kind, known, model }: Asked): Span.Attributes => ({
  "gen_ai.operation.name": operations[kind],
  "gen_ai.provider.name": "ollama",
  "gen_ai.request.model": asked ?? model,
  "gen_ai.response.model": known ? model : undefined,
})

const parsed = (url: string): Span.Attributes => {
  if (!URL.canParse(url)) return { "server.address": url }
  const { hostname, port, protocol } = new URL(url)
  return { "server.address": hostname, "server.port": Number(port) || (protocol === "https:" ? 443 : 80) }
}

/** The places of the fleet's backends. Backends that have left would add up, so it begins anew when it is full. */
const places = new Map<string, Span.Attributes>()
const placesMax = 1000

const place = (url: string): Span.Attributes => {
  const known = places.get(url)
  if (known !== undefined) return known
  if (places.size >= placesMax) places.clear()
  const found = parsed(url)
  places.set(url, found)
  return found
}

/** How an attempt failed. A client that left, or an error that is the client's, is no failure of it. */
const failure = ({ outcome }: TracedAttempt): string | undefined => {
  if (outcome === undefined || outcome.kind === "success") return undefined
  return outcome.kind === "ignored" && outcome.cause !== "truncated" ? undefined : outcome.cause
}

/** The span of one attempt, and the span within it in which its answer was passed on. */
const spansOf = (trace: Trace, attempt: TracedAttempt, about: Asked, at: number, source: Ids.Source) => {
  const { backend, firstByteAt, outcome, sentAt, url } = attempt
  const { state, traceId } = trace
  const spanId = trace.spanOf(attempt)
  const to = attempt.endedAt ?? at
  const attributes = asked(about)
  const call = Span.make({
    traceId,
    spanId,
    parentId: trace.spanId,
    state,
    name: `${attributes["gen_ai.operation.name"]} ${about.model}`,
    kind: "client",
    from: sentAt,
    to,
    error: failure(attempt),
    attributes: {
      ...attributes,
      "gen_ai.request.model": about.model,
      "gen_ai.usage.input_tokens": outcome?.usage?.promptTokens,
      "gen_ai.usage.output_tokens": outcome?.usage?.answerTokens,
      ...place(url),
      "llamero.backend": backend,
      "llamero.outcome": outcome?.cause,
    },
    events: firstByteAt === undefined ? [] : [{ name: "first_byte", at: firstByteAt }],
  })
  if (firstByteAt === undefined) return [call]
  const relay = { traceId, spanId: Ids.span(source), parentId: spanId, state, name: "relay", kind: "internal" } as const
  return [call, Span.make({ ...relay, from: firstByteAt, to })]
}

/** How many spans `make` makes. @internal */
export const count = ({ attempts }: Trace): number =>
  attempts.reduce((sum, { firstByteAt }) => sum + (firstByteAt === undefined ? 1 : 2), 0)

/** The spans of all attempts of a trace. `at`: when the last one had ended. @internal */
export const make = (trace: Trace, about: Asked, at: number, source: Ids.Source): ReadonlyArray<Span.Span> =>
  trace.attempts.flatMap((attempt) => spansOf(trace, attempt, about, at, source))
