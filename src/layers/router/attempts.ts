/**
 * From a demand to an answer: a lease, a call, and another one where that fails and may fare better elsewhere.
 *
 * @since 0.1.0
 */
import { Clock, Effect } from "effect"
import { Admission } from "../../services/Admission.ts"
import { type Commit, isLease, type Lease, Leases } from "../../services/Leases.ts"
import { ModelCatalog } from "../../services/ModelCatalog.ts"
import { Placement } from "../../services/Placement.ts"
import type { RetryPolicy } from "../../services/Plugin.ts"
import type { Refusal } from "../../services/Refusal.ts"
import { type Attempt, type BackendAnswer, Relay } from "../../services/Relay.ts"
import type { ReplySink } from "../../services/Reply.ts"
import { Residency } from "../../services/Residency.ts"
import type { Demand, RoutedRequest } from "../../services/RoutedRequest.ts"
import type { Settled } from "../../services/Router.ts"
import { RouterEvents } from "../../services/RouterEvents.ts"
import type { Call, Upstream } from "../../services/Transport.ts"
import { forwardHeaders } from "../../wire/headers.ts"
import { streams } from "../../wire/request.ts"
import { type Policy, rewritten, tiered } from "./clientOptions.ts"
import { giveUp, mayFareBetter, saysNotWhen } from "./givingUp.ts"
import * as Hedge from "./hedge.ts"
import { keepsNothing, type Run } from "./run.ts"

/** @internal */
export interface Options {
  readonly retry: RetryPolicy
  readonly clients: Policy
  readonly forwardCredentials: boolean
}

/** `request` gives what to send where it is not the run's own; it is asked when a lease is held. @internal */
export type Attempting = (
  run: Run,
  demand: Demand,
  reply: ReplySink,
  request?: () => RoutedRequest,
) => Effect.Effect<Settled, Refusal>

/** @internal */
export const make = Effect.fnUntraced(function* ({ clients, forwardCredentials, retry }: Options) {
  const admission = yield* Admission
  const catalog = yield* ModelCatalog
  const clock = yield* Clock.Clock
  const events = yield* RouterEvents
  const leases = yield* Leases
  const placement = yield* Placement
  const relay = yield* Relay
  const residency = yield* Residency

  const hedged = retry.hedging === undefined ? undefined : yield* Hedge.make({
    events,
    leases,
    placement,
    relay,
    residency,
    retry,
    hedging: retry.hedging,
    failed: (demand, backend, { outcome: { cause } }) => {
      if (cause === "http-404") lost(demand, backend)
      attemptFailed(demand, backend, cause)
    },
  })

  const attempt: Attempting = (run, demand, reply, request) => {
    run.demand = demand
    const expect = { streams: streams(run.request), streamEnd: run.request.endpoint.streamEnd }
    const asked = demand.loads && !demand.model.remote && !clients.passThrough ? run.request.envelope.numCtx : undefined
    const commit = (waiting: number): Commit => {
      const placed = asked === undefined ? demand : tiered(demand, asked, residency, clients)
      if ("_tag" in placed) return placed
      const ranking = placement.rank(placed, leases.view)
      const committed = leases.commit(ranking, placed, waiting)
      if (ranking.taken !== undefined && isLease(committed)) ranking.taken(committed.backend.id)
      run.working = committed !== "wait"
      if (committed === "loading") run.cold = true
      return committed
    }
    return Effect.flatMap(
      admission.admit(
        demand,
        commit,
        (lease) => {
          run.attempts++
          if (demand.cold === true) run.cold = true
          run.outcome = undefined
          run.backend = lease.backend.id
          if (request !== undefined) run.request = request()
          run.queuedMillis = clock.currentTimeMillisUnsafe() - demand.since
          return hedged !== undefined && Hedge.hedges(run, lease.demand)
            ? hedged(lease, { run, expect, reply, call: (to, lane) => passedOn(run, to, lane) })
            : relay.run(lease, passedOn(run, lease, reply), expect, reply)
        },
      ),
      (ended) => {
        run.outcome = ended.outcome
        if (ended._tag === "Answered") return Effect.succeed(answered(run, demand, ended))
        return again(run, demand, reply, ended, request)
      },
    )
  }

  /** The call with the client's options as the policy has them for this backend. */
  const passedOn = (run: Run, { backend, demand: { model } }: Lease, reply: ReplySink): Call => {
    const { body, endpoint, headers, id } = run.request
    const call: Call = {
      method: "POST",
      path: endpoint.upstreamPath,
      headers: forwardHeaders(headers, id, forwardCredentials),
      body,
    }
    const view = leases.view.find(backend.id)
    if (view === undefined) return call
    const changed = rewritten(run.request, model, view, residency, clients, clock.currentTimeMillisUnsafe())
    if (changed === undefined) return call
    // Once: a second attempt may rewrite the same again.
    if (run.rewrote === undefined) reply.annotate(["x-llamero-rewrote", changed.names.join()])
    run.rewrote ??= changed.names
    return { ...call, body: changed.body }
  }

  const answered = (run: Run, demand: Demand, ended: Attempt & { readonly _tag: "Answered" }): Settled => {
    // What the call did to the backend's memory is known now, not only at the next reading.
    const removed = keepsNothing(run.request) && run.rewrote?.includes("keep_alive") !== true
    if (ended.outcome.kind === "success" && removed) residency.forget(run.backend!, demand.model)
    return run.end("answered", ended.status, undefined)
  }

  const again = (
    run: Run,
    demand: Demand,
    reply: ReplySink,
    ended: Attempt & { readonly _tag: "Retry" },
    request?: () => RoutedRequest,
  ): Effect.Effect<Settled, Refusal> => {
    const elsewhere: Demand = { ...demand, excluded: [...demand.excluded, ...run.alsoFailed, run.backend!] }
    const { cause } = ended.outcome
    const failed = { demand, backend: run.backend!, outcome: ended.outcome, attempts: run.attempts }
    const now = clock.currentTimeMillisUnsafe()
    if (cause === "http-404") lost(demand, run.backend!)
    const worth = placement.rank(elsewhere, leases.view).size > 0 &&
      mayFareBetter(cause, demand, leases.view.find(run.backend!)) && retry.decide(failed, now) === "elsewhere"
    // An answer that is passed on is told with the request.
    if (!worth && ended.answer !== undefined) return Effect.sync(() => passOn(run, reply, ended.answer!))
    attemptFailed(demand, run.backend!, cause)
    return worth ? attempt(run, elsewhere, reply, request) : Effect.fail(giveUp(demand, ended.outcome))
  }

  /** It has the model no longer. */
  const lost = (demand: Demand, backend: string): void => {
    residency.forget(backend, demand.model)
    catalog.forget(backend, demand.model)
  }

  const attemptFailed = (demand: Demand, backend: string, cause: string): void =>
    events.publish({ _tag: "AttemptFailed", at: clock.currentTimeMillisUnsafe(), id: demand.id, backend, cause })

  const passOn = (run: Run, reply: ReplySink, answer: BackendAnswer): Settled => {
    // Ollama's own "busy" says nothing of when to come back.
    if (saysNotWhen(answer)) reply.annotate(["Retry-After", "1"])
    reply.open(gone)
    reply.head(answer.status, answer.rawHeaders)
    reply.data(answer.body)
    reply.end()
    return run.end("answered", answer.status, undefined)
  }

  return attempt
})

/** Stands in for an upstream that has already ended. */
const gone: Upstream = { pause: () => {}, resume: () => {}, abort: () => {} }
