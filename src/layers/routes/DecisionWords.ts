/**
 * Says in words what happened to a request: why it went where it went, why it was slow, why it was refused.
 *
 * @since 0.1.0
 */
import type { Decision } from "../../services/Decisions.ts"
import type { RequestSettled } from "../../services/RouterEvents.ts"
import { causeWords, refusalWords } from "./words/causes.ts"
import { stepWords } from "./words/steps.ts"

/** A decision in words. @category models @since 0.1.0 */
export interface Words {
  /** The `X-Request-Id`. */
  readonly id: string
  /** How it ended, in one sentence. */
  readonly summary: string
  /** What happened, in order, then where the time went. */
  readonly sentences: ReadonlyArray<string>
}

const time = (millis: number): string =>
  millis < 1000 ? `${Math.round(millis)} ms` : `${Math.round(millis / 10) / 100} s`

/** A wait that is worth a sentence, in milliseconds. */
const waitMin = 10

const summary = ({ model, settled, totalMillis }: RequestSettled): string => {
  const { backend, outcome, refusal, result, status } = settled
  const after = `after ${time(totalMillis)}`
  if (result === "canceled") {
    const where = backend === undefined ? "before it was placed" : `while ${backend} worked on it`
    return `The client of a request for ${model} left ${after}, ${where}.`
  }
  if (result === "refused") {
    return `The request for ${model} was refused with ${status} ${after}: ${refusal?.message ?? "no reason is known"}.`
  }
  const by = settled.coalesced === undefined
    ? `${backend ?? "The router"} answered`
    : "The call of another request answered"
  const ok = outcome === undefined || (outcome.cause === "ok" && status < 400)
  const what = `${by} the request for ${model} with ${status} ${after}`
  return ok ? `${what}.` : `${what}; ${causeWords(outcome.cause)}.`
}

const shared = ({ settled: { coalesced } }: RequestSettled): ReadonlyArray<string> => {
  if (coalesced === "identical") return ["An identical request was under way, so both share one call to the backend."]
  if (coalesced === "batch") return ["Its inputs were sent in one call, together with those of other requests."]
  return []
}

const waited = ({ cold, settled }: RequestSettled): ReadonlyArray<string> => [
  ...(settled.queuedMillis >= waitMin && settled.attempts > 0
    ? [`It waited ${time(settled.queuedMillis)} before its last attempt began.`]
    : []),
  ...(cold === true ? ["It waited for a load of its model: no backend had it in memory with a free slot."] : []),
]

/** How it ended, where the summary does not say it all. */
const ending = ({ settled }: RequestSettled): ReadonlyArray<string> => {
  const { attempts, outcome, refusal, result } = settled
  if (result === "refused" && refusal !== undefined) {
    const last = attempts > 0 && outcome !== undefined ? [`The last attempt: ${causeWords(outcome.cause)}.`] : []
    const again = refusal.retryAfter === undefined ? [] : [`It was told to come again in ${refusal.retryAfter} s.`]
    const queue = refusal.queue === undefined
      ? []
      : [`${refusal.queue.depth} requests waited; the expected wait was ${time(refusal.queue.waitMillis)}.`]
    return [refusalWords(refusal.reason), ...last, ...queue, ...again]
  }
  if (result === "canceled" && attempts === 0) return ["Nothing was sent to a backend."]
  return []
}

/** Where the time went, and what took most of it. */
const times = ({ cold, settled, totalMillis }: RequestSettled): ReadonlyArray<string> => {
  const { attempts, coalesced, outcome, queuedMillis } = settled
  if (attempts === 0 || coalesced !== undefined || outcome?.firstByteMillis === undefined) return []
  const first = outcome.firstByteMillis
  const answer = Math.max(0, totalMillis - queuedMillis - first)
  const parts = [
    { millis: queuedMillis, what: cold === true ? "waiting and loading the model" : "waiting and earlier attempts" },
    { millis: first, what: "waiting for the first byte, while the backend read the prompt" },
    { millis: answer, what: "the answer" },
  ]
  const most = parts.reduce((a, b) => b.millis > a.millis ? b : a)
  const all = `Of ${time(totalMillis)}, ${time(queuedMillis)} were before the attempt, ` +
    `${time(first)} until its first byte and ${time(answer)} for the rest of the answer.`
  return totalMillis < waitMin ? [] : [all, `Most of it was ${most.what}.`]
}

/** A field that the router changed or left out. */
const rewritten = ({ rewrote }: RequestSettled): ReadonlyArray<string> =>
  rewrote === undefined || rewrote.length === 0 ? [] : [`Not passed on as the client sent it: ${rewrote.join(", ")}.`]

/**
 * A decision in words, for people. It is a pure function: the same decision gives the same words.
 *
 * @category conversions
 * @since 0.1.0
 */
export const why = ({ settled, steps }: Decision): Words => {
  const placed = steps.some(({ _tag }) => _tag === "Placed")
  const unrecorded = !placed && settled.settled.attempts > 0 && settled.settled.coalesced === undefined
  return {
    id: settled.id,
    summary: summary(settled),
    sentences: [
      ...rewritten(settled),
      ...shared(settled),
      ...steps.flatMap(stepWords),
      ...waited(settled),
      ...ending(settled),
      ...times(settled),
      ...(unrecorded ? ["Why it was placed there was not recorded: the router records only some placements."] : []),
    ],
  }
}
