/**
 * What happened to a request before it ended, in sentences.
 *
 * @since 0.1.0
 */
import type { Step } from "../../../services/Decisions.ts"
import { leaseRefusal, type Placed, type PlacedCandidate } from "../../../services/Placed.ts"
import type { Hedged } from "../../../services/RouterEvents.ts"
import { causeWords } from "./causes.ts"

/** More candidates are counted, not named. */
const namedMax = 5

const number = (value: number): string => String(Math.round(value * 100) / 100)

/** `a, b and c`. @category conversions @since 0.1.0 */
export const list = (words: ReadonlyArray<string>): string =>
  words.length < 2 ? words.join("") : `${words.slice(0, -1).join(", ")} and ${words.at(-1)}`

const few = (candidates: ReadonlyArray<PlacedCandidate>, say: (one: PlacedCandidate) => string): string => {
  const named = candidates.slice(0, namedMax).map(say)
  const more = candidates.length - named.length
  return list(more > 0 ? [...named, `${more} more`] : named)
}

const scoresOf = ({ scores, total }: PlacedCandidate): string => {
  const parts = Object.entries(scores).map(([name, score]) => `${name} ${number(score)}`)
  return parts.length === 0 ? number(total) : `${number(total)} (${parts.join(", ")})`
}

/** Why a filter drops a backend. `healthy` looks at two things. */
const dropped = ({ backend: { id }, droppedBy, health, member }: PlacedCandidate): string => {
  if (droppedBy === "already-tried") return `${id} was left out because an attempt had failed on it`
  if (member !== "active") return `${id} was left out because it was ${member}`
  if (health === "unhealthy") return `${id} was left out because it was unhealthy`
  return `the filter ${droppedBy} dropped ${id}`
}

const excuse = ({ demand }: Placed) => (one: PlacedCandidate): string =>
  `${one.backend.id} ${leaseRefusal(one, demand) ?? "had no free slot on its GPU, or its breaker took no trial"}`

/** Who was taken, and why not another one. */
const taken = (placed: Placed): ReadonlyArray<string> => {
  const able = placed.candidates.filter(({ droppedBy }) => droppedBy === undefined)
  const took = able.find(({ backend }) => backend.id === placed.took)
  const nth = placed.attempt === 1 ? "The request" : `Attempt ${placed.attempt}`
  if (took === undefined) return [`${nth} went to ${placed.took}.`]
  if (able.length === 1) return [`${nth} went to ${placed.took}, the only candidate.`]
  const above = able.filter(({ total }) => total > took.total)
  const blocked = above.filter((one) => leaseRefusal(one, placed.demand) !== undefined)
  const rest = able.filter((one) => one !== took && !above.includes(one))
  const says = above.length === 0
    ? `${nth} went to ${placed.took}, whose scores had the highest sum: ${scoresOf(took)}.`
    : `${nth} went to ${placed.took} with the scores ${scoresOf(took)}.`
  return [
    says,
    ...blocked.map((one) =>
      `${one.backend.id} had more, ${scoresOf(one)}, but it ${leaseRefusal(one, placed.demand)}.`
    ),
    ...above.filter((one) => !blocked.includes(one)).map((one) =>
      `${one.backend.id} had more, ${scoresOf(one)}: the picker chose another one, or it gave no lease.`
    ),
    ...(rest.length === 0 ? [] : [`The others: ${few(rest, (one) => `${one.backend.id} ${scoresOf(one)}`)}.`]),
  ]
}

const waits: Readonly<Record<"wait" | "loading" | "refused", string>> = {
  wait: "It had to wait",
  loading: "It had to wait for a load of the model",
  refused: "It was refused",
}

const placed = (step: Placed): ReadonlyArray<string> => {
  const able = step.candidates.filter(({ droppedBy }) => droppedBy === undefined)
  const out = step.candidates.filter(({ droppedBy }) => droppedBy !== undefined)
  const outs = out.length === 0 ? [] : [`Of the backends with the model, ${few(out, dropped)}.`]
  const without = step.without === 0 ? [] : [
    step.without === 1 ? "1 backend does not have the model." : `${step.without} backends do not have the model.`,
  ]
  if (step.answer === "lease") return [...taken(step), ...outs, ...without]
  const place = step.waiting > 1 ? ` as one of ${step.waiting}` : ""
  const because = able.length === 0 ? "no backend was a candidate" : few(able, excuse(step))
  return [`${waits[step.answer]}${place}: ${because}.`, ...outs, ...without]
}

const hedged = ({ first, result, second }: Hedged): string => {
  const slow = `The attempt on ${first} was slow`
  switch (result) {
    case "won":
      return `${slow}, so a second one was made on ${second}, which answered first.`
    case "lost":
      return `${slow}, so a second one was made on ${second}, but ${first} answered first.`
    case "failed":
      return `${slow}, so a second one was made on ${second}, which failed.`
    case "canceled":
      return `${slow}, so a second one was made on ${second}; the client left during both.`
    case "nowhere":
      return `${slow}, but no other backend had the model in memory and a free slot.`
    case "over-budget":
      return `${slow}, but the budget of retries was used up.`
  }
}

/** The sentences about one step. @category conversions @since 0.1.0 */
export const stepWords = (step: Step): ReadonlyArray<string> => {
  switch (step._tag) {
    case "Placed":
      return placed(step)
    case "AttemptFailed":
      return [`The attempt on ${step.backend} failed: ${causeWords(step.cause)}.`]
    case "Hedged":
      return [hedged(step)]
    case "Shadowed":
      if (step.result === "failed") return [`The placement ${step.shadow}, which only watches, failed.`]
      if (step.result === "same") return [`The placement ${step.shadow}, which only watches, would have done the same.`]
      return [`The placement ${step.shadow}, which only watches, would have chosen ${step.would ?? "no backend"}.`]
  }
}
