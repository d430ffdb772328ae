/**
 * One request on its way through the pipeline.
 *
 * @since 0.1.0
 */
import type { Outcome } from "../../services/Outcome.ts"
import type { Refusal } from "../../services/Refusal.ts"
import type { ReplySink } from "../../services/Reply.ts"
import type { Demand, RoutedRequest } from "../../services/RoutedRequest.ts"
import type { Settled } from "../../services/Router.ts"

const none: ReadonlyArray<string> = []

/** One request under way: what its heartbeats and its event need to know. @internal */
export class Run {
  slot = -1
  request: RoutedRequest
  readonly reply: ReplySink
  known = false
  model: string
  attempts = 0
  backend: string | undefined = undefined
  /** Backends that failed beside `backend`, where attempts were hedged. */
  alsoFailed: ReadonlyArray<string> = none
  outcome: Outcome | undefined = undefined
  queuedMillis = 0
  /** What it asks for now, once its model is known. */
  demand: Demand | undefined = undefined
  /** Whether a load is under way for it, or a backend at work: then silence is answered with heartbeats. */
  working = false
  /** Whether it waited for a load of its model. */
  cold = false
  /** Fields of the body that were not passed on as they were. */
  rewrote: ReadonlyArray<string> | undefined = undefined
  /** Bytes of the answer when it was last looked at, and since when there have been no more. */
  seenBytes = 0
  quietSince: number
  /** The guard that is being asked; -1 when none is. */
  guard = -1
  /** A guard has put another model in the place of the client's. */
  renamed = false
  settled = false
  readonly settledGuards: Array<(outcome: Outcome) => void> = []
  constructor(request: RoutedRequest, reply: ReplySink) {
    this.request = request
    this.reply = reply
    this.model = request.envelope.model
    this.quietSince = request.receivedAt
  }
  /** What happened to an answer that this one shares. */
  take({ attempts, backend, cold, outcome, queuedMillis, rewrote }: Run): void {
    this.attempts = attempts
    this.backend = backend
    this.cold = cold
    this.outcome = outcome
    this.queuedMillis = queuedMillis
    this.rewrote = rewrote
  }
  end(result: Settled["result"], status: number, refusal: Refusal | undefined): Settled {
    return {
      result,
      status,
      refusal,
      outcome: this.outcome,
      backend: this.backend,
      attempts: this.attempts,
      queuedMillis: this.queuedMillis,
    }
  }
}

const zero = /^"?-?0+(?:\.0*)?(?:ns|us|µs|ms|s|m|h)?"?$/

/** `keep_alive: 0`, in any spelling: the backend drops the model after this call. @internal */
export const keepsNothing = ({ envelope }: RoutedRequest): boolean =>
  envelope.keepAlive !== undefined && zero.test(envelope.keepAlive)

/** Asks for nothing but the model's removal from memory. @internal */
export const unloads = (request: RoutedRequest): boolean => request.envelope.emptyPrompt && keepsNothing(request)
