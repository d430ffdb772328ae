/**
 * The last decisions, in places that are written again and again.
 *
 * A history of the records themselves would cost more than all else that is done for them: each record would live long
 * enough to be moved to V8's old generation, with all that it refers to, and be garbage there soon after.
 *
 * @since 0.1.0
 */
import type { Decision, Step } from "../../services/Decisions.ts"
import type { AnswerUsage, Outcome, OutcomeKind } from "../../services/Outcome.ts"
import type { Refusal } from "../../services/Refusal.ts"
import type { RequestSettled } from "../../services/RouterEvents.ts"
import type { Settled } from "../../services/Router.ts"

/** A model that no backend has is named as the client wrote it, and that may be as long as a request body. */
const modelMax = 200

// Put together anew: a slice would keep the whole string in memory.
const shortened = (model: string): string =>
  model.length <= modelMax ? model : Array.from(model.slice(0, modelMax)).join("")

/** What a decision has besides numbers. */
class Place {
  id = ""
  route = ""
  kind: RequestSettled["kind"] = "chat"
  asked: string | undefined = undefined
  model = ""
  known = false
  tenant = ""
  keyed: boolean | undefined = undefined
  cold: boolean | undefined = undefined
  rewrote: ReadonlyArray<string> | undefined = undefined
  result: Settled["result"] = "answered"
  status = 0
  refusal: Refusal | undefined = undefined
  backend: string | undefined = undefined
  attempts = 0
  coalesced: Settled["coalesced"] = undefined
  outcome: OutcomeKind | undefined = undefined
  cause = ""
  hasUsage = false
  steps: ReadonlyArray<Step> = []
}

/** Numbers of a decision: a row of one array. */
const width = 19

const write = (place: Place, row: Float64Array, event: RequestSettled, steps: ReadonlyArray<Step>): void => {
  const { settled } = event
  const { outcome } = settled
  const usage = outcome?.usage
  place.id = event.id
  place.route = event.route
  place.kind = event.kind
  place.asked = event.asked === undefined ? undefined : shortened(event.asked)
  place.model = shortened(event.model)
  place.known = event.known
  place.tenant = event.tenant
  place.keyed = event.keyed
  place.cold = event.cold
  place.rewrote = event.rewrote
  place.result = settled.result
  place.status = settled.status
  place.refusal = settled.refusal
  place.backend = settled.backend
  place.attempts = settled.attempts
  place.coalesced = settled.coalesced
  place.outcome = outcome?.kind
  place.cause = outcome?.cause ?? ""
  place.hasUsage = usage !== undefined
  place.steps = steps
  row[0] = event.at
  row[1] = event.totalMillis
  row[2] = settled.queuedMillis
  row[3] = event.bytesIn
  row[4] = event.bytesOut
  row[5] = event.arrivedAt ?? NaN
  row[6] = event.receivedAt ?? NaN
  row[7] = event.askedAt ?? NaN
  row[8] = event.loadingAt ?? NaN
  row[9] = event.leasedAt ?? NaN
  row[10] = event.firstByteAt ?? NaN
  row[11] = event.routingMillis ?? NaN
  row[12] = event.cost ?? NaN
  row[13] = outcome?.firstByteMillis ?? NaN
  row[14] = outcome?.totalMillis ?? NaN
  row[15] = outcome?.longestGapMillis ?? NaN
  row[16] = usage?.promptTokens ?? NaN
  row[17] = usage?.answerTokens ?? NaN
  row[18] = usage?.slotWaitMillis ?? NaN
}

/** Each field, so that a new one does not compile until it is kept here or left out on purpose. */
type All<A> = { readonly [K in keyof Required<A>]: A[K] | undefined }

const outcomeOf = (place: Place, number: (index: number) => number | undefined): Outcome | undefined => {
  if (place.outcome === undefined) return undefined
  const usage = {
    promptTokens: number(16),
    answerTokens: number(17),
    slotWaitMillis: number(18),
  } satisfies All<AnswerUsage>
  return {
    kind: place.outcome,
    cause: place.cause,
    firstByteMillis: number(13),
    totalMillis: number(14),
    longestGapMillis: number(15),
    usage: place.hasUsage ? usage : undefined,
  } satisfies All<Outcome>
}

/** The decision as it was, without its trace: that holds the headers of the request. */
const read = (place: Place, row: Float64Array): Decision => {
  const number = (index: number): number | undefined => Number.isNaN(row[index]!) ? undefined : row[index]
  const { asked, attempts, backend, coalesced, cold, id, keyed, kind, known, model, refusal, result, rewrote, route } =
    place
  const settled = {
    ...{ result, status: place.status, refusal, backend, attempts, coalesced },
    queuedMillis: row[2]!,
    outcome: outcomeOf(place, number),
    call: undefined,
  } satisfies All<Settled>
  const event = {
    ...{ id, route, kind, asked, model, known, tenant: place.tenant, keyed, cold, rewrote, settled },
    _tag: "RequestSettled",
    at: row[0]!,
    totalMillis: row[1]!,
    bytesIn: row[3]!,
    bytesOut: row[4]!,
    arrivedAt: number(5),
    receivedAt: number(6),
    askedAt: number(7),
    loadingAt: number(8),
    leasedAt: number(9),
    firstByteAt: number(10),
    routingMillis: number(11),
    cost: number(12),
    trace: undefined,
  } as const satisfies All<RequestSettled>
  return { settled: event, steps: place.steps }
}

/** The last `size` decisions. @internal */
export class DecisionRing {
  private readonly places: ReadonlyArray<Place>
  private readonly rows: ReadonlyArray<Float64Array>
  /** The place of the oldest one, which the next one replaces. */
  private next = 0
  private count = 0

  constructor(size: number) {
    const numbers = new Float64Array(size * width)
    this.places = Array.from({ length: size }, () => new Place())
    this.rows = this.places.map((_, i) => numbers.subarray(i * width, (i + 1) * width))
  }

  add(event: RequestSettled, steps: ReadonlyArray<Step>): void {
    const { length } = this.places
    write(this.places[this.next]!, this.rows[this.next]!, event, steps)
    this.next = (this.next + 1) % length
    if (this.count < length) this.count++
  }

  /** Newest first. */
  recent(limit: number): ReadonlyArray<Decision> {
    return Array.from({ length: Math.max(0, Math.min(limit, this.count)) }, (_, back) => this.read(this.at(back)))
  }

  /** The newest one with this id. */
  find(id: string): Decision | undefined {
    for (let back = 0; back < this.count; back++) {
      const index = this.at(back)
      if (this.places[index]!.id === id) return this.read(index)
    }
    return undefined
  }

  private at(back: number): number {
    const { length } = this.places
    return (this.next - 1 - back + length) % length
  }

  private read(index: number): Decision {
    return read(this.places[index]!, this.rows[index]!)
  }
}
