/**
 * The end of a request: what it teaches, its event, and the guards that want to hear of it.
 *
 * @since 0.1.0
 */
import { Clock, Effect, Exit } from "effect"
import { ModelCatalog } from "../../services/ModelCatalog.ts"
import type { Outcome } from "../../services/Outcome.ts"
import { Residency } from "../../services/Residency.ts"
import type { Settled } from "../../services/Router.ts"
import { RouterEvents } from "../../services/RouterEvents.ts"
import { TokenEstimator } from "../../services/TokenEstimator.ts"
import { streams } from "../../wire/request.ts"
import { learnFrom } from "./learning.ts"
import type { Run } from "./run.ts"

/** @internal */
export const make = Effect.gen(function* () {
  const catalog = yield* ModelCatalog
  const clock = yield* Clock.Clock
  const events = yield* RouterEvents
  const residency = yield* Residency
  const tokens = yield* TokenEstimator

  return (run: Run, exit: Exit.Exit<Settled>): void => {
    run.settled = true
    const settled = Exit.isSuccess(exit) ? exit.value : run.end("canceled", 499, undefined)
    const outcome = settled.outcome ?? { kind: "ignored", cause: settled.refusal?.reason ?? "client-gone" }
    if (settled.coalesced === undefined) learnFrom(run, outcome, tokens, residency, catalog)
    const now = clock.currentTimeMillisUnsafe()
    events.publish({
      _tag: "RequestSettled",
      at: now,
      id: run.request.id,
      route: run.request.endpoint.path,
      kind: run.request.endpoint.kind,
      model: run.model,
      known: run.known,
      tenant: run.request.tenant,
      settled,
      totalMillis: now - run.request.receivedAt,
      bytesIn: run.request.body.length,
      bytesOut: run.reply.bytes,
      rewrote: run.rewrote,
      cold: run.cold,
    })
    // Last, so that a guard that throws takes nothing else with it.
    if (run.settledGuards.length === 0) return
    const told = charged(run, outcome)
    for (const hear of run.settledGuards.splice(0)) hear(told)
  }
})

/** A record of a stream is a token and about so many bytes, in any dialect. */
const recordBytes = 200

/** For guards that charge for tokens: where nobody counted those of a stream, be it that its client left or that it did not ask, its length tells. */
const charged = (run: Run, outcome: Outcome): Outcome => {
  const served = run.attempts > 0 || run.reply.bytes > 0
  const uncounted = served && outcome.usage?.answerTokens === undefined &&
    (outcome.cause === "client-gone" || (outcome.kind === "success" && streams(run.request)))
  if (!uncounted) return outcome
  const { promptTokens, slotWaitMillis } = outcome.usage ?? {}
  const answerTokens = Math.ceil(run.reply.bytes / recordBytes)
  return { ...outcome, usage: { promptTokens, slotWaitMillis, answerTokens } }
}
