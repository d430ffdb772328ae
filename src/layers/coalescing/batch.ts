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
import { combine, shares, type SingleCall, splitAnswer } from "./embeddings.ts"
import type { Flight } from "./flight.ts"

/**
 * Most bytes of texts in a batch. A batch is charged with all of them when it is queued: that pays for the texts that
 * come later.
 */
const textMax = 64 * 1024

/**
 * More bytes than the vectors of any batch have. Of a longer answer the rest is dropped, and the answer cannot be read.
 */
const answerMax = 64 * 1024 * 1024

/** Statuses that do not depend on any one input. */
const notAboutOneInput = [401, 403, 404, 429, 502, 503, 504]

const refused: Refusal = refuse("BackendFailed", "the backend broke off in the middle of the answer")
const unreadable: Refusal = refuse("BackendFailed", "the backend's answer could not be read")

/**
 * The flights that travel together, and the reply that splits their answer. A batch takes in flights until it is sent.
 * No flight waits for others: a call that need not queue is sent alone.
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
  /** Whether one input may be to blame for the error of all. */
  private mayBlameOne = false

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

  /** Adds the flight if there is room. Returns whether it did. */
  take(flight: Flight): boolean {
    if (this.flights.length >= this.sizeMax) return false
    if (this.texts + textLength(flight) > textMax) return false
    this.flights.push(flight)
    this.count(flight)
    this.demand.promptTokens += flight.demand.promptTokens
    return true
  }

  /** Removes a flight that no client wants any more. Returns whether no flight of the batch is wanted any more. */
  drop(flight: Flight): boolean {
    if (this.sealed !== undefined) return this.flights.every(({ participants }) => participants.size === 0)
    this.flights.splice(this.flights.indexOf(flight), 1)
    this.texts -= textLength(flight)
    if (this.flights.length === 0) this.onSeal(this)
    return this.flights.length === 0
  }

  /** Takes out the flights above a number, for another batch. None of a batch that was sent. */
  split(most: number): ReadonlyArray<Flight> {
    if (this.sealed !== undefined) return []
    const rest = this.flights.splice(most)
    for (const flight of rest) {
      this.texts -= textLength(flight)
      this.demand.promptTokens -= flight.demand.promptTokens
    }
    return rest
  }

  /** The request to send. From now on no flight can be added. */
  request(): RoutedRequest {
    if (this.sealed !== undefined) return this.sealed
    this.onSeal(this)
    const [first, ...others] = this.flights.map(singleOf)
    if (first === undefined) throw new Error("a batch without flights was sent")
    return this.sealed = others.length === 0 ? first.request : combine([first, ...others])
  }

  /** Ends the flights. Returns the ones that have to be tried again in smaller batches. */
  settle(exit: Exit.Exit<Settled, Refusal>): ReadonlyArray<Flight> {
    this.onSeal(this)
    if (this.mayBlameOne && Exit.isSuccess(exit)) {
      return this.flights.filter(({ participants }) => participants.size > 0)
    }
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
      if (notAboutOneInput.includes(this.status)) return this.answer(this.flights.map(() => body))
      this.mayBlameOne = true
      return
    }
    const answers = splitAnswer(body, this.flights.map(textLength))
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

  /** Each flight's record gets its share of the tokens: guards charge for it and estimators learn from it. */
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

const singleOf = ({ identity: { single }, request }: Flight): SingleCall => {
  if (single === undefined) throw new Error("a flight of a batch has no single text")
  return { request, input: single.input, text: single.text }
}

const textLength = (flight: Flight): number => {
  const { end, start } = singleOf(flight).text
  return end - start
}

const unmeasured = (raw: ReadonlyArray<string>): ReadonlyArray<string> =>
  raw.flatMap((name, i) =>
    i % 2 === 1 || /^(?:content-length|transfer-encoding)$/i.test(name) ? [] : [name, raw[i + 1] ?? ""]
  )
