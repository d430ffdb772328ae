/**
 * Answers a demand: waits for a lease, sends the call, and tries again on another backend when that may help.
 *
 * @since 0.1.0
 */
import { Clock, Effect } from "effect"
import { Admission } from "../../services/Admission.ts"
import { type Commit, isLease, Leases } from "../../services/Leases.ts"
import { Placement } from "../../services/Placement.ts"
import type { RetryPolicy } from "../../services/Plugin.ts"
import type { Refusal } from "../../services/Refusal.ts"
import { type Attempt, Relay } from "../../services/Relay.ts"
import type { ReplySink } from "../../services/Reply.ts"
import { Residency } from "../../services/Residency.ts"
import type { Demand, RoutedRequest } from "../../services/RoutedRequest.ts"
import type { Settled } from "../../services/Router.ts"
import { RouterEvents } from "../../services/RouterEvents.ts"
import { streams } from "../../wire/request.ts"
import * as AfterFailure from "./afterFailure.ts"
import * as Call from "./call.ts"
import { type Policy, tiered } from "./clientOptions.ts"
import * as Hedge from "./hedge.ts"
import type { MissingPaths } from "./missingPaths.ts"
import type { CompanyOf } from "./otherClients.ts"
import { keepsNothing, type Run } from "./requestState.ts"

/** @internal */
export interface Options {
  readonly retry: RetryPolicy
  readonly clients: Policy
  readonly forwardCredentials: boolean
  readonly companyOf: CompanyOf
  readonly missing: MissingPaths
}

/**
 * Answers a demand. `request` gives the request to send when it is not the run's own; it is called once there is a
 * lease.
 *
 * @internal
 */
export type Attempting = (
  run: Run,
  demand: Demand,
  reply: ReplySink,
  request?: () => RoutedRequest,
) => Effect.Effect<Settled, Refusal>

/** @internal */
export const make = Effect.fnUntraced(function* (options: Options) {
  const { clients, companyOf, forwardCredentials, missing, retry } = options
  const admission = yield* Admission
  const clock = yield* Clock.Clock
  const events = yield* RouterEvents
  const leases = yield* Leases
  const placement = yield* Placement
  const relay = yield* Relay
  const residency = yield* Residency
  const callOf = yield* Call.make(clients, forwardCredentials, companyOf)
  const afterFailure = yield* AfterFailure.make(retry, missing)
  const { hedging } = retry
  const tools = { events, leases, placement, relay, residency, retry, failed: afterFailure.record }
  const hedged = hedging === undefined ? undefined : yield* Hedge.make({ ...tools, hedging })

  /** Ranks the backends and takes a lease, in one step. */
  const commit = (run: Run, demand: Demand, numCtx: number | undefined, waiting: number): Commit => {
    const placed = numCtx === undefined ? demand : tiered(demand, numCtx, residency, clients)
    if ("_tag" in placed) return placed
    const ranking = placement.rank(placed, leases.view)
    const committed = leases.commit(ranking, placed, waiting)
    if (ranking.taken !== undefined && isLease(committed)) ranking.taken(committed.backend.id)
    run.working = committed !== "wait"
    if (committed === "loading") run.cold = true
    return committed
  }

  const attempt: Attempting = (run, demand, reply, request) => {
    run.demand = demand
    const { dialect, streamEnd } = run.request.endpoint
    // generate-v1 is translated, and the answer of a batch is split.
    const reads = dialect === "generate-v1" || request !== undefined
    const expect = { streams: streams(run.request), streamEnd, reads }
    const explicit = demand.loads && !demand.model.remote && !clients.passThrough
    const numCtx = explicit ? run.request.envelope.numCtx : undefined
    return Effect.flatMap(
      admission.admit(demand, (waiting) => commit(run, demand, numCtx, waiting), (lease) => {
        run.attempts++
        if (demand.cold === true) run.cold = true
        run.outcome = undefined
        run.backend = lease.backend.id
        if (request !== undefined) run.request = request()
        run.queuedMillis = clock.currentTimeMillisUnsafe() - demand.since
        return hedged !== undefined && Hedge.hedges(run, lease.demand)
          ? hedged(lease, { run, expect, reply, call: (to, contender) => callOf(run, to, contender) })
          : relay.run(lease, callOf(run, lease, reply), expect, reply)
      }),
      (ended) => {
        run.outcome = ended.outcome
        if (ended._tag === "Answered") return Effect.succeed(answered(run, demand, ended))
        return afterFailure.next(run, demand, reply, ended, (elsewhere) => attempt(run, elsewhere, reply, request))
      },
    )
  }

  const answered = (run: Run, demand: Demand, ended: Attempt & { readonly _tag: "Answered" }): Settled => {
    // The backend has unloaded the model. Residency must not go on using it until the next reading.
    const unloaded = keepsNothing(run.request) && run.rewrote?.includes("keep_alive") !== true
    if (ended.outcome.kind === "success" && unloaded) residency.forget(run.backend!, demand.model)
    return run.end("answered", ended.status, undefined)
  }

  return attempt
})
