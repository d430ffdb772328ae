/**
 * Shows operators what was decided about the last requests, behind a token.
 *
 * @since 0.1.0
 */
import { Effect, type Layer, Redacted } from "effect"
import { HttpRouter, HttpServerRequest, HttpServerResponse } from "effect/http"
import type { Decision, Decisions, Step } from "../../services/Decisions.ts"
import { bearer } from "./bearer.ts"
import * as Respond from "./respond.ts"

const limitDefault = 100

const time = (millis: number): string => new Date(millis).toISOString()
const seconds = (millis: number): number => Math.round(millis) / 1000

const shownStep = ({ _tag, at, id: _id, ...step }: Step) => ({ event: _tag, at: time(at), ...step })

const shown = ({ settled: event, steps }: Decision) => {
  const { attempts, backend, coalesced, outcome, queuedMillis, refusal, result, status } = event.settled
  return {
    id: event.id,
    at: time(event.at),
    route: event.route,
    model: event.model,
    tenant: event.tenant,
    result,
    status,
    refusal: refusal?.reason,
    backend,
    attempts,
    outcome: outcome?.cause,
    first_byte_seconds: outcome?.firstByteMillis === undefined ? undefined : seconds(outcome.firstByteMillis),
    queued_seconds: seconds(queuedMillis),
    total_seconds: seconds(event.totalMillis),
    cold: event.cold,
    coalesced,
    rewrote: event.rewrote,
    steps: steps.map(shownStep),
  }
}

/** A text that HTTP sends for a search parameter; the last one counts where it is repeated. */
const last = (value: string | ReadonlyArray<string> | undefined): string | undefined =>
  typeof value === "string" ? value : value?.at(-1)

const answer = (decisions: Decisions, limitText: string | undefined, id: string | undefined) => {
  if (id !== undefined) {
    const decision = decisions.find(id)
    return decision === undefined
      ? Respond.error(404, "no request with this id is remembered")
      : Respond.json(JSON.stringify(shown(decision)))
  }
  const limit = Number(limitText ?? limitDefault)
  if (!Number.isInteger(limit) || limit < 1) {
    return Respond.error(400, "limit must be a whole number of at least 1")
  }
  return Respond.json(JSON.stringify({ decisions: decisions.recent(limit).map(shown) }))
}

/**
 * `GET /admin/decisions`, with `Authorization: Bearer TOKEN`.
 *
 * **Details**
 *
 * `{"decisions":[{"id","at","route","model","tenant","result","status","refusal","backend","attempts","outcome",
 * "first_byte_seconds","queued_seconds","total_seconds","cold","coalesced","rewrote","steps":[{"event","at",…}]}]}`,
 * newest first. Fields without a value are left out. The steps are the events of the request before it was settled.
 *
 * `?limit=N` asks for more or fewer than 100. `?id=ID` asks for the one request with that `X-Request-Id`, and answers
 * 404 when it is not remembered. 401 without the token.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: {
  /** The token of operators. A `RangeError` when it is empty. */
  readonly token: Redacted.Redacted<string>
  /** The memory to show: what `DecisionHistory.make` returns. */
  readonly decisions: Decisions
}): Layer.Layer<never, never, HttpRouter.HttpRouter> => {
  const allowed = bearer(Redacted.value(options.token))
  const decisions = Effect.gen(function* () {
    const { headers } = yield* HttpServerRequest.HttpServerRequest
    const { id, limit } = yield* HttpServerRequest.ParsedSearchParams
    const response = allowed(headers["authorization"])
      ? answer(options.decisions, last(limit), last(id))
      : Respond.error(401, "a token is needed")
    return HttpServerResponse.setHeader(response, "cache-control", "no-store")
  })
  return HttpRouter.use((http) => http.addAll(Respond.on(["HEAD", "GET"], "/admin/decisions", decisions)))
}
