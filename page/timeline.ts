/** A request's life as parts of a line. */

/** A request as `/admin/decisions` gives it. */
export interface Decision {
  readonly id: string
  readonly at: string
  readonly route: string
  readonly model: string
  readonly tenant: string
  readonly result: "answered" | "refused" | "canceled"
  readonly status: number
  readonly refusal?: string
  readonly backend?: string
  readonly attempts: number
  readonly outcome?: string
  readonly first_byte_seconds?: number
  readonly queued_seconds: number
  readonly total_seconds: number
  /** What the router itself added; measured for some requests. */
  readonly routing_seconds?: number
  readonly arrived_at?: string
  readonly received_at?: string
  readonly asked_at?: string
  readonly loading_at?: string
  readonly leased_at?: string
  readonly first_byte_at?: string
  readonly prompt_tokens?: number
  readonly answer_tokens?: number
  readonly cold?: boolean
  readonly coalesced?: string
  readonly steps: ReadonlyArray<Step>
}

export interface Step {
  readonly event: string
  readonly at: string
  readonly attempt?: number
  readonly answer?: string
  readonly took?: string
  readonly backend?: string
  readonly cause?: string
  readonly result?: string
  readonly candidates?: ReadonlyArray<Candidate>
}

export interface Candidate {
  readonly backend: string
  readonly residency: string
  readonly streams: number
  readonly streams_max: number
  readonly dropped_by?: string
  readonly no_lease?: string
  readonly scores: Readonly<Record<string, number>>
  readonly total: number
}

/**
 * The parts of a request's way. `receive`: its body came. `checks`: keys, limits and other guards. `wait`: in a queue.
 * `load`: for its model. `first`: until the first byte. `answer`: the rest. `refused`: until it was refused.
 */
export type Kind = "receive" | "checks" | "wait" | "load" | "first" | "answer" | "refused"

export interface Span {
  readonly kind: Kind
  readonly name: string
  readonly seconds: number
  /** From 0 to 1. */
  readonly from: number
  readonly to: number
}

export interface Mark {
  readonly name: string
  /** Seconds after the arrival. */
  readonly after: number
  readonly position: number
  readonly isFailure: boolean
}

const placements: Readonly<Record<string, string>> = {
  refused: "refused",
  loading: "queued for a load of its model",
}

/** The words for an event. */
const markName = (step: Step): string => {
  switch (step.event) {
    case "Placed":
      return step.answer === "lease" ? `placed on ${step.took}` : placements[step.answer ?? ""] ?? "queued"
    case "AttemptFailed":
      return `attempt on ${step.backend} failed: ${step.cause}`
    case "Hedged":
      return `hedged: ${step.result}`
    default:
      return step.event
  }
}

export const partNames: Readonly<Record<Kind, string>> = {
  receive: "its body came",
  checks: "checks",
  wait: "waiting",
  load: "loading the model",
  first: "until the first byte",
  answer: "the answer",
  refused: "until it was refused",
}

const millis = (time: string | undefined): number | undefined => time === undefined ? undefined : Date.parse(time)

/** Where each part ends, in milliseconds since 1970; `undefined` for one that was not reached. */
const partsOf = (decision: Decision, received: number, end: number) => {
  const { attempts, first_byte_seconds, queued_seconds } = decision
  const leased = millis(decision.leased_at) ?? (attempts > 0 ? received + queued_seconds * 1000 : undefined)
  const loading = millis(decision.loading_at)
  const firstByte = leased === undefined || first_byte_seconds === undefined
    ? millis(decision.first_byte_at)
    : millis(decision.first_byte_at) ?? leased + first_byte_seconds * 1000
  const isRefused = leased === undefined && decision.result === "refused"
  const parts: ReadonlyArray<readonly [Kind, number | undefined]> = [
    ["receive", received],
    ["checks", millis(decision.asked_at)],
    [isRefused && loading === undefined ? "refused" : "wait", loading ?? leased ?? end],
    ["load", loading === undefined ? undefined : leased ?? end],
    ["first", leased === undefined ? undefined : firstByte ?? end],
    ["answer", leased === undefined ? undefined : end],
  ]
  return parts
}

/** The parts of a request's time, one after the other, and the moments of its events. */
export const timeline = (
  decision: Decision,
): { readonly spans: ReadonlyArray<Span>; readonly marks: ReadonlyArray<Mark> } => {
  const ended = Date.parse(decision.at)
  const received = millis(decision.received_at) ?? ended - decision.total_seconds * 1000
  const start = Math.min(received, millis(decision.arrived_at) ?? received)
  const end = Math.max(ended, start + 0.001)
  const total = end - start
  const spans: Array<Span> = []
  let from = start
  for (const [kind, until] of partsOf(decision, received, end)) {
    const to = Math.min(end, until ?? from)
    if (to <= from) continue
    const name = kind === "wait" && decision.attempts > 1 ? "waiting and earlier attempts" : partNames[kind]
    spans.push({ kind, name, seconds: (to - from) / 1000, from: (from - start) / total, to: (to - start) / total })
    from = to
  }
  const marks = decision.steps.map((step) => {
    const after = Math.min(total, Math.max(0, Date.parse(step.at) - start))
    const isFailure = step.event === "AttemptFailed" || step.answer === "refused"
    return { name: markName(step), after: after / 1000, position: after / total, isFailure }
  })
  return { spans, marks }
}

/** Why it ended as it did, in a few words. */
export const reason = ({ attempts, backend, coalesced, cold, outcome, refusal, result, steps }: Decision): string => {
  if (result === "refused") return (refusal ?? "refused").replaceAll(/(?<=[a-z])(?=[A-Z])/g, " ").toLowerCase()
  if (result === "canceled") return backend === undefined ? "client left while waiting" : "client left"
  if (outcome !== undefined && outcome !== "ok") return outcome
  if (coalesced !== undefined) return coalesced === "batch" ? "in a batch" : "shared a call"
  if (attempts > 1) return `after ${attempts - 1} failed ${attempts === 2 ? "attempt" : "attempts"}`
  if (cold === true) return "waited for a load"
  const placed = steps.findLast(({ answer, event }) => event === "Placed" && answer === "lease")
  const able = placed?.candidates?.filter(({ dropped_by }) => dropped_by === undefined)
  if (able === undefined) return "placed"
  if (able.length === 1) return "only candidate"
  const took = able.find(({ backend: id }) => id === backend)
  return took?.residency === "resident" ? "in memory, best score" : "best score"
}
