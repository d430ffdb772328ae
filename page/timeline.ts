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

export interface Span {
  readonly kind: "wait" | "first" | "answer" | "refused"
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

/** The words for an event. */
const markName = (step: Step): string => {
  switch (step.event) {
    case "Placed":
      return step.answer === "lease" ? `placed on ${step.took}` : step.answer === "refused" ? "refused" : "queued"
    case "AttemptFailed":
      return `attempt on ${step.backend} failed: ${step.cause}`
    case "Hedged":
      return `hedged: ${step.result}`
    default:
      return step.event
  }
}

/** The parts of a request's time, one after the other, and the moments of its events. */
export const timeline = (
  decision: Decision,
): { readonly spans: ReadonlyArray<Span>; readonly marks: ReadonlyArray<Mark> } => {
  const { attempts, cold, first_byte_seconds: first, queued_seconds, steps, total_seconds } = decision
  const total = Math.max(total_seconds, 1e-6)
  const wait = attempts === 0 ? total : Math.min(queued_seconds, total)
  const firstEnd = first === undefined ? total : Math.min(total, wait + first)
  const parts = attempts === 0
    ? [{ kind: decision.result === "refused" ? "refused" as const : "wait" as const, name: "waiting", end: total }]
    : [
      { kind: "wait" as const, name: cold === true ? "waiting and loading" : "waiting", end: wait },
      { kind: "first" as const, name: "until the first byte", end: firstEnd },
      { kind: "answer" as const, name: "the answer", end: total },
    ]
  const spans: Array<Span> = []
  let from = 0
  for (const { end, kind, name } of parts) {
    if (end > from) spans.push({ kind, name, seconds: end - from, from: from / total, to: end / total })
    from = Math.max(from, end)
  }
  const arrival = new Date(decision.at).getTime() - total_seconds * 1000
  const marks = steps.map((step) => {
    const after = Math.min(total, Math.max(0, (new Date(step.at).getTime() - arrival) / 1000))
    const isFailure = step.event === "AttemptFailed" || step.answer === "refused"
    return { name: markName(step), after, position: after / total, isFailure }
  })
  return { spans, marks }
}

/** Why it ended as it did, in a few words. */
export const reason = ({ attempts, backend, coalesced, cold, outcome, refusal, result, steps }: Decision): string => {
  if (result === "refused") return refusal ?? "refused"
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
