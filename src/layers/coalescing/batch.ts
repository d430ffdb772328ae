/**
 * Several embedding inputs in one upstream call.
 *
 * @since 0.1.0
 */
import { Exit } from "effect"
import type { Lead } from "../../services/Coalescer.ts"
import { type Refusal, refuse } from "../../services/Refusal.ts"
import type { ReplySink } from "../../services/Reply.ts"
import type { Demand, RoutedRequest } from "../../services/RoutedRequest.ts"
import type { Settled } from "../../services/Router.ts"
import type { TransportError, Upstream } from "../../services/Transport.ts"
import type { Slotted } from "../../support/bag.ts"
import { concat } from "../../wire/json.ts"
import { improve, live, type LiveDemand } from "./demand.ts"
import { apart, type One, shares, together } from "./embeddings.ts"
import type { Flight } from "./flight.ts"

/** Texts of a batch, in bytes. It is charged with them when it is queued, so that those who come later are paid for. */
const textMax = 64 * 1024

/** More than any batch of vectors has: the rest is not kept, and the answer not understood. */
const answerMax = 64 * 1024 * 1024

/** Statuses that say nothing of any one input. */
const forAll = [401, 403, 404, 429, 502, 503, 504]

const refused: Refusal = refuse("BackendFailed", "the backend broke off in the middle of the answer")
const unreadable: Refusal = refuse("BackendFailed", "the backend's answer could not be read")

/**
 * The flights that travel together, and the reply that takes their answer apart. It takes others in until it is sent, so it costs nobody a wait: what
 * need not queue goes alone.
 *
 * @internal
 */
export class Batch implements ReplySink, Slotted {
  slot = -1
  readonly key: string
  readonly demand: LiveDemand
  readonly lead: Lead
  readonly flights: Array<Flight>
  bytes = 0
  private readonly sizeMax: number
  private readonly onSeal: (batch: Batch) => void
  private texts = 0
  private sealed: RoutedRequest | undefined = undefined
  private status = 0
  private rawHeaders: ReadonlyArray<string> = []
  private readonly chunks: Array<Uint8Array> = []
  private refusal: Refusal | undefined = undefined
  /** Whether the answer may blame one input for all. */
  private blames = false

  constructor(
    group: string,
    flights: readonly [Flight, ...ReadonlyArray<Flight>],
    onSeal: (batch: Batch) => void,
    sizeMax: number,
  ) {
    this.key = group
    this.flights = [...flights]
    this.sizeMax = sizeMax
    this.onSeal = onSeal
    const [first] = flights
    this.lead = first.lead
    this.demand = live(first.demand)
    for (const flight of flights) this.count(flight)
    this.demand.promptTokens = flights.reduce((sum, { demand }) => sum + demand.promptTokens, 0)
    if (sizeMax > 1) this.demand.bytes = Math.max(this.demand.bytes, textMax)
  }

  get committed(): boolean {
    return false
  }

  improve(demand: Demand): void {
    improve(this.demand, demand)
  }

  /** Whether it could take the flight in, and did. */
  take(flight: Flight): boolean {
    if (this.flights.length >= this.sizeMax) return false
    if (this.texts + textLength(flight) > textMax) return false
    this.flights.push(flight)
    this.count(flight)
    this.demand.promptTokens += flight.demand.promptTokens
    return true
  }

  /** Whether nobody wants it any more. */
  drop(flight: Flight): boolean {
    if (this.sealed !== undefined) return this.flights.every(({ participants }) => participants.size === 0)
    this.flights.splice(this.flights.indexOf(flight), 1)
    this.texts -= textLength(flight)
    if (this.flights.length === 0) this.onSeal(this)
    return this.flights.length === 0
  }

  /** What to send. From now on nobody comes in. */
  request(): RoutedRequest {
    if (this.sealed !== undefined) return this.sealed
    this.onSeal(this)
    const [first, ...others] = this.flights.map(oneOf)
    if (first === undefined) throw new Error("a batch of nothing")
    return this.sealed = others.length === 0 ? first.request : together([first, ...others])
  }

  /** Ends the flights; gives back the ones that have to be tried in smaller company. */
  settle(exit: Exit.Exit<Settled, Refusal>): ReadonlyArray<Flight> {
    this.onSeal(this)
    if (this.blames && Exit.isSuccess(exit)) return this.flights.filter(({ participants }) => participants.size > 0)
    let how: Settled["coalesced"]
    const ended = this.refusal === undefined || Exit.isFailure(exit) ? exit : Exit.fail(this.refusal)
    const share = this.counted(exit)
    for (const [i, flight] of this.flights.entries()) {
      if (flight.participants.size === 0) continue
      flight.settle(Exit.map(ended, (settled) => share(settled, i)), how)
      how = "batch"
    }
    return []
  }

  open(upstream: Upstream): void {
    this.alone?.open(upstream)
  }

  head(status: number, rawHeaders: ReadonlyArray<string>): void {
    this.status = status
    this.rawHeaders = rawHeaders
    this.alone?.head(status, rawHeaders)
  }

  data(chunk: Uint8Array): void {
    this.bytes += chunk.length
    if (this.alone !== undefined) this.alone.data(chunk)
    else if (this.bytes <= answerMax) this.chunks.push(chunk)
  }

  end(): void {
    if (this.alone !== undefined) return this.alone.end()
    const body = concat(this.chunks)
    if (this.status >= 400) {
      if (forAll.includes(this.status)) return this.answer(this.flights.map(() => body))
      this.blames = true
      return
    }
    const answers = apart(body, this.flights.map(textLength))
    if (answers === undefined) this.refusal = unreadable
    else {
      this.annotate(["X-Llamero-Batch", String(this.flights.length)])
      this.answer(answers)
    }
  }

  fail(error: TransportError): void {
    if (this.alone !== undefined) this.alone.fail(error)
    else this.refusal = refused
  }

  refuse(why: Refusal): void {
    if (this.alone !== undefined) this.alone.refuse(why)
    else this.refusal = why
  }

  /** Embeddings never stream. */
  heartbeat(): void {}

  annotate(headers: ReadonlyArray<string>): void {
    for (const flight of this.flights) flight.annotate(headers)
  }

  private get alone(): Flight | undefined {
    return this.flights.length === 1 ? this.flights[0] : undefined
  }

  private answer(bodies: ReadonlyArray<Uint8Array>): void {
    this.flights.forEach((flight, i) => {
      const body = bodies[i]!
      flight.head(this.status, [...unmeasured(this.rawHeaders), "Content-Length", String(body.length)])
      flight.data(body)
      flight.end()
    })
  }

  /** Guards charge, and estimators learn from, what one text had of the whole. */
  private counted(exit: Exit.Exit<Settled, Refusal>): (settled: Settled, i: number) => Settled {
    const usage = Exit.isSuccess(exit) ? exit.value.outcome?.usage : undefined
    if (usage?.promptTokens === undefined || this.flights.length === 1) return (settled) => settled
    const each = shares(usage.promptTokens, this.flights.map(textLength))
    return (settled, i) =>
      settled.outcome === undefined
        ? settled
        : { ...settled, outcome: { ...settled.outcome, usage: { ...usage, promptTokens: each[i] } } }
  }

  private count(flight: Flight): void {
    this.texts += textLength(flight)
    this.improve(flight.demand)
  }
}

const oneOf = ({ identity: { single }, request }: Flight): One => {
  if (single === undefined) throw new Error("a batch of what is not one text")
  return { request, input: single.input, text: single.text }
}

const textLength = (flight: Flight): number => {
  const { end, start } = oneOf(flight).text
  return end - start
}

const unmeasured = (raw: ReadonlyArray<string>): ReadonlyArray<string> =>
  raw.flatMap((name, i) =>
    i % 2 === 1 || /^(?:content-length|transfer-encoding)$/i.test(name) ? [] : [name, raw[i + 1] ?? ""]
  )
