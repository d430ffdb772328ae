/**
 * The answers about single requests.
 *
 * @since 0.1.0
 */
import { Effect } from "effect"
import type { Decision, Decisions, Step } from "../../../services/Decisions.ts"
import { leaseRefusal, type Placed, type PlacedCandidate } from "../../../services/Placed.ts"
import type { RequestSettled } from "../../../services/RouterEvents.ts"
import { BadCall, Unknown } from "./errors.ts"

const limitDefault = 100

const time = (millis: number): string => new Date(millis).toISOString()
const seconds = (millis: number): number => Math.round(millis) / 1000

const shownCandidate = (demand: Placed["demand"]) => (one: PlacedCandidate) => ({
  backend: one.backend.id,
  member: one.member,
  health: one.health,
  breaker: one.breaker,
  residency: one.residency,
  streams: one.streams,
  streams_max: one.backend.streamsMax,
  streams_of_model: one.streamsOfModel,
  streams_of_model_max: one.limitOfModel,
  load_seconds: seconds(one.loadMillis),
  first_byte_seconds: one.firstByteMillis === undefined ? undefined : seconds(one.firstByteMillis),
  needs: one.memory?.needs,
  room: one.memory?.room,
  dropped_by: one.droppedBy,
  no_lease: one.droppedBy === undefined ? leaseRefusal(one, demand) : undefined,
  scores: one.scores,
  total: one.total,
})

const shownPlaced = ({ answer, at, attempt, candidates, demand, others, refusal, took, waiting, without }: Placed) => ({
  event: "Placed",
  at: time(at),
  attempt,
  answer,
  took,
  refusal,
  waiting,
  candidates: candidates.map(shownCandidate(demand)),
  others,
  without,
})

const shownStep = (step: Step) => {
  if (step._tag === "Placed") return shownPlaced(step)
  const { _tag, at, id: _id, ...rest } = step
  return { event: _tag, at: time(at), ...rest }
}

const timeOf = (millis: number | undefined): string | undefined => millis === undefined ? undefined : time(millis)

/** When it passed each stage; absent for a stage that it did not reach. */
const shownStages = (event: RequestSettled) => ({
  arrived_at: timeOf(event.arrivedAt),
  received_at: timeOf(event.receivedAt),
  asked_at: timeOf(event.askedAt),
  loading_at: timeOf(event.loadingAt),
  leased_at: timeOf(event.leasedAt),
  first_byte_at: timeOf(event.firstByteAt),
})

/** A decision as JSON. @category conversions @since 0.1.0 */
export const shown = ({ settled: event, steps }: Decision) => {
  const { attempts, backend, coalesced, outcome, queuedMillis, refusal, result, status } = event.settled
  const { routingMillis } = event
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
    /** What the router itself added; only some requests are measured. */
    routing_seconds: routingMillis === undefined ? undefined : Math.round(routingMillis * 1000) / 1e6,
    ...shownStages(event),
    prompt_tokens: outcome?.usage?.promptTokens,
    answer_tokens: outcome?.usage?.answerTokens,
    cold: event.cold,
    coalesced,
    rewrote: event.rewrote,
    steps: steps.map(shownStep),
  }
}

/** A whole number of at least 1 in a text. @category decoding @since 0.1.0 */
export const limitOf = (text: string | undefined, unset: number): Effect.Effect<number, BadCall> => {
  const limit = Number(text ?? unset)
  return Number.isInteger(limit) && limit >= 1
    ? Effect.succeed(limit)
    : Effect.fail(new BadCall({ error: "limit must be a whole number of at least 1" }))
}

const off = new Unknown({ error: "no requests are remembered here: set LLAMERO_DECISIONS" })
const forgotten = new Unknown({ error: "no request with this id is remembered" })

/** One request. @category lookups @since 0.1.0 */
export const find = (decisions: Decisions | undefined, id: string): Effect.Effect<Decision, Unknown> => {
  const found = decisions?.find(id)
  return found === undefined ? Effect.fail(decisions === undefined ? off : forgotten) : Effect.succeed(found)
}

/** The last requests. @category lookups @since 0.1.0 */
export const recent = (
  decisions: Decisions | undefined,
  limitText: string | undefined,
): Effect.Effect<{ readonly decisions: ReadonlyArray<unknown> }, BadCall | Unknown> =>
  decisions === undefined
    ? Effect.fail(off)
    : Effect.map(limitOf(limitText, limitDefault), (limit) => ({ decisions: decisions.recent(limit).map(shown) }))
