/**
 * The state of one request in the pipeline.
 *
 * @since 0.1.0
 */
import type { Outcome } from "../../services/Outcome.ts"
import type { Refusal } from "../../services/Refusal.ts"
import type { ReplySink } from "../../services/Reply.ts"
import type { Demand, RoutedRequest } from "../../services/RoutedRequest.ts"
import type { Settled } from "../../services/Router.ts"
import type { Trace } from "../../services/Trace.ts"
import * as KeepAlive from "../../wire/keepAlive.ts"
import type { RoutingTime } from "./routingTime.ts"

const none: ReadonlyArray<string> = []

/** The state of one request: its attempts write it, its heartbeats and its event read it. @internal */
export class Run {
  slot = -1
  request: RoutedRequest
  readonly reply: ReplySink
  /** The model's name as the client wrote it. */
  readonly asked: string
  /** Whether the catalog has the model. */
  known = false
  model: string
  attempts = 0
  /** Attempts among them that found out that a backend does not have the path. They are no retries. */
  notOffered = 0
  backend: string | undefined = undefined
  /** The backends besides `backend` on which a hedged attempt failed. */
  alsoFailed: ReadonlyArray<string> = none
  outcome: Outcome | undefined = undefined
  queuedMillis = 0
  /** When it passed the stages: see `RequestSettled`. */
  askedAt: number | undefined = undefined
  loadingAt: number | undefined = undefined
  leasedAt: number | undefined = undefined
  firstByteAt: number | undefined = undefined
  /** Where there is tracing. */
  trace: Trace | undefined = undefined
  /** The trace of the call whose answer this one shares. */
  call: Trace | undefined = undefined
  /** The current demand, once the model is known. */
  demand: Demand | undefined = undefined
  /** Whether its model is loading for it, or a backend is answering it. Then it gets heartbeats. */
  working = false
  /** Whether it waited for a load of its model. */
  cold = false
  /** Names of the fields of the body that were changed before it was sent. */
  rewrote: ReadonlyArray<string> | undefined = undefined
  /** Bytes of the answer when the sweeper last looked. */
  seenBytes = 0
  /** Since when the answer has had no more bytes, by the router's clock, in milliseconds. */
  quietSince: number
  /** Index of the guard that is checking the request; -1 when none is. */
  guard = -1
  /** Whether a guard has replaced the client's model. */
  renamed = false
  settled = false
  /** Measures what the router adds, for some requests. */
  timing: RoutingTime | undefined = undefined
  /** Price per hour of the last backend. */
  price: number | undefined = undefined
  /** What guards want to call with the outcome. */
  readonly settledGuards: Array<(outcome: Outcome) => void> = []
  constructor(request: RoutedRequest, reply: ReplySink) {
    this.request = request
    this.reply = reply
    this.asked = this.model = request.envelope.model
    this.quietSince = request.receivedAt
  }
  /** Copies what happened to the run whose answer this one shares. */
  take(
    { attempts, backend, cold, firstByteAt, leasedAt, loadingAt, outcome, price, queuedMillis, rewrote, trace }: Run,
  ): void {
    this.attempts = attempts
    this.backend = backend
    this.cold = cold
    this.outcome = outcome
    this.price = price
    this.queuedMillis = queuedMillis
    this.rewrote = rewrote
    this.loadingAt = loadingAt
    this.leasedAt = leasedAt
    this.firstByteAt = firstByteAt
    this.call = trace
  }
  /** The record of how it ended. */
  end(result: Settled["result"], status: number, refusal: Refusal | undefined): Settled {
    return {
      result,
      status,
      refusal,
      outcome: this.outcome,
      backend: this.backend,
      attempts: this.attempts,
      queuedMillis: this.queuedMillis,
      call: this.call,
    }
  }
}

/**
 * Whether the request has `keep_alive: 0`, in any spelling, or a time so short that it comes to the same: the backend
 * unloads the model after it.
 *
 * @internal
 */
export const keepsNothing = ({ envelope }: RoutedRequest): boolean =>
  envelope.keepAlive !== undefined && KeepAlive.unloads(envelope.keepAlive)

/** Whether the request only unloads the model. @internal */
export const unloads = (request: RoutedRequest): boolean => request.envelope.emptyPrompt && keepsNothing(request)
