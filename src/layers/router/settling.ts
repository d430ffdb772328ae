/**
 * Ends a request: teaches the token estimator, publishes the event, and calls the guards that wait for the outcome.
 *
 * @since 0.1.0
 */
import { Clock, Effect, Exit } from "effect"
import { Leases } from "../../services/Leases.ts"
import { ModelCatalog } from "../../services/ModelCatalog.ts"
import type { Outcome } from "../../services/Outcome.ts"
import { Residency } from "../../services/Residency.ts"
import { clientOf } from "../../services/RoutedRequest.ts"
import type { Settled } from "../../services/Router.ts"
import { RouterEvents } from "../../services/RouterEvents.ts"
import { TokenEstimator } from "../../services/TokenEstimator.ts"
import { streams } from "../../wire/request.ts"
import { learnFrom } from "./learning.ts"
import { keepsNothing, type Run } from "./requestState.ts"
import * as TracedAttempts from "./tracedAttempts.ts"

/** Called once for each request, with how its routing ended. @internal */
export const make = Effect.gen(function* () {
  const catalog = yield* ModelCatalog
  const clock = yield* Clock.Clock
  const events = yield* RouterEvents
  const leases = yield* Leases
  const residency = yield* Residency
  const tokens = yield* TokenEstimator

  /** The lease was another client's. This one has used the model, too. */
  const used = (run: Run, backend: string): void => {
    const model = catalog.peek(run.model)
    if (model === undefined || model.remote || keepsNothing(run.request)) return
    residency.touch(backend, model, clientOf(run.request))
  }

  /**
   * Of the backend's price for the time of the answer, the part of one of the streams that it now serves. With a
   * steady number of streams, the parts of all requests add up to the price.
   */
  const cost = ({ backend, price, queuedMillis, request }: Run, now: number): number | undefined => {
    if (price === undefined || backend === undefined) return undefined
    const hours = (now - request.receivedAt - queuedMillis) / 3_600_000
    // The lease of this request is released already.
    return price * hours / ((leases.view.find(backend)?.streams ?? 0) + 1)
  }

  return (run: Run, exit: Exit.Exit<Settled>): void => {
    run.settled = true
    const settled = Exit.isSuccess(exit) ? exit.value : run.end("canceled", 499, undefined)
    const outcome = settled.outcome ?? { kind: "ignored", cause: settled.refusal?.reason ?? "client-gone" }
    if (settled.coalesced === undefined) learnFrom(run, outcome, tokens, residency, catalog)
    else if (outcome.kind === "success" && settled.backend !== undefined) used(run, settled.backend)
    const now = clock.currentTimeMillisUnsafe()
    TracedAttempts.endAll(run.trace, settled.backend, settled.outcome, run.firstByteAt, now)
    events.publish({
      _tag: "RequestSettled",
      at: now,
      id: run.request.id,
      route: run.request.endpoint.path,
      kind: run.request.endpoint.kind,
      model: run.model,
      asked: run.asked,
      known: run.known,
      tenant: run.request.tenant,
      settled,
      totalMillis: now - run.request.receivedAt,
      bytesIn: run.request.body.length,
      bytesOut: run.reply.bytes,
      rewrote: run.rewrote,
      cold: run.cold,
      arrivedAt: run.request.arrivedAt,
      receivedAt: run.request.receivedAt,
      askedAt: run.askedAt,
      loadingAt: run.loadingAt,
      leasedAt: run.leasedAt,
      firstByteAt: run.firstByteAt,
      trace: run.trace,
      keyed: run.request.grant !== undefined,
      routingMillis: run.timing?.millis(run.attempts),
      cost: settled.coalesced === undefined ? cost(run, now) : undefined,
    })
    // Last: a guard that throws must not keep the rest from happening.
    if (run.settledGuards.length === 0) return
    const charged = withTokens(run, outcome)
    tell(run.settledGuards.splice(0), 0, charged)
  }
})

/** Tells each guard, also the ones after a guard that throws: they may hold a place for the request. */
const tell = (guards: Run["settledGuards"], from: number, outcome: Outcome): void => {
  for (let i = from; i < guards.length; i++) {
    try {
      guards[i]!(outcome)
    } catch (error) {
      tell(guards, i + 1, outcome)
      throw error
    }
  }
}

/** Bytes of a record of a stream, roughly, in any dialect. A record holds one token. */
const recordBytes = 200

/**
 * The outcome with the tokens of the answer, for guards that charge for tokens. The backend does not count the tokens
 * of a stream that the client left, that lacks its last record, or whose client did not ask for usage. They are
 * estimated from its length then.
 */
const withTokens = (run: Run, outcome: Outcome): Outcome => {
  const served = run.attempts > 0 || run.reply.bytes > 0
  const uncounted = served && outcome.usage?.answerTokens === undefined &&
    (outcome.cause === "client-gone" || outcome.cause === "truncated" ||
      (outcome.kind === "success" && streams(run.request)))
  if (!uncounted) return outcome
  const { promptTokens, slotWaitMillis } = outcome.usage ?? {}
  const answerTokens = Math.ceil(run.reply.bytes / recordBytes)
  return { ...outcome, usage: { promptTokens, slotWaitMillis, answerTokens } }
}
