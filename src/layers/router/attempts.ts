/**
 * Answers a demand: waits for a lease, sends the call, and tries again on another backend when that may help.
 *
 * @since 0.1.0
 */
import { Clock, Effect } from "effect"
import { Admission, type Admitted } from "../../services/Admission.ts"
import { type Commit, isLease, type Lease, Leases } from "../../services/Leases.ts"
import { Placement } from "../../services/Placement.ts"
import type { RetryPolicy } from "../../services/Plugin.ts"
import type { Refusal } from "../../services/Refusal.ts"
import { type Attempt, type Expected, Relay } from "../../services/Relay.ts"
import type { ReplySink } from "../../services/Reply.ts"
import { Residency } from "../../services/Residency.ts"
import type { Demand, RoutedRequest } from "../../services/RoutedRequest.ts"
import type { Settled } from "../../services/Router.ts"
import { RouterEvents } from "../../services/RouterEvents.ts"
import type { Upstream } from "../../services/Transport.ts"
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
export interface Attempts {
  readonly attempt: Attempting
  /** For the run's own reply: the lease of a first attempt that needs no fiber, or else what has to run in one. */
  readonly admitNow: (run: Run, demand: Demand) => Admitted | Effect.Effect<Settled, Refusal>
  /** Sends the call of such an attempt. `ended` gets its end. */
  readonly send: (run: Run, lease: Lease, ended: (attempt: Attempt) => void) => Upstream
  readonly answered: (run: Run, demand: Demand, ended: Answered) => Settled
  /** What follows such an attempt when it has failed. */
  readonly failed: (run: Run, demand: Demand, ended: AfterFailure.Failed) => Effect.Effect<Settled, Refusal>
}

/** @internal */
export type Answered = Attempt & { readonly _tag: "Answered" }

const expected = ({ request, timing }: Run, isShared: boolean): Expected => {
  const { dialect, streamEnd } = request.endpoint
  // generate-v1 is translated, and the answer of a batch is split.
  return { streams: streams(request), streamEnd, reads: dialect === "generate-v1" || isShared, timing }
}

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
  const commit = (run: Run, demand: Demand, waiting: number): Commit => {
    run.timing?.go()
    const committed = place(run, demand, waiting)
    if (!isLease(committed)) run.timing?.wait()
    return committed
  }

  const place = (run: Run, demand: Demand, waiting: number): Commit => {
    const explicit = demand.loads && !demand.model.remote && !clients.passThrough
    const numCtx = explicit ? run.request.envelope.numCtx : undefined
    const placed = numCtx === undefined ? demand : tiered(demand, numCtx, residency, clients)
    if ("_tag" in placed) return placed
    const ranking = placement.rank(placed, leases.view)
    const committed = leases.commit(ranking, placed, waiting)
    if (ranking.taken !== undefined && isLease(committed)) ranking.taken(committed.backend.id)
    run.working = committed !== "wait"
    if (committed === "loading") run.cold = true
    return committed
  }

  const leased = (run: Run, demand: Demand, { backend }: Lease): void => {
    run.attempts++
    if (demand.cold === true) run.cold = true
    run.outcome = undefined
    run.backend = backend.id
    run.price = backend.price
    run.queuedMillis = clock.currentTimeMillisUnsafe() - demand.since
  }

  /** An attempt in a fiber. `asked` is what `commit` has answered already in this step. */
  const admitted = (
    run: Run,
    demand: Demand,
    reply: ReplySink,
    asked: Commit | undefined,
    request?: () => RoutedRequest,
  ): Effect.Effect<Settled, Refusal> => {
    let first = asked
    run.demand = demand
    const ask = (waiting: number): Commit => {
      const committed = first ?? commit(run, demand, waiting)
      first = undefined
      return committed
    }
    const expect = expected(run, request !== undefined)
    return Effect.flatMap(
      admission.admit(demand, ask, (lease) => {
        leased(run, demand, lease)
        if (request !== undefined) run.request = request()
        return hedged !== undefined && Hedge.hedges(run, lease.demand)
          ? hedged(lease, { run, expect, reply, call: (to, contender) => callOf(run, to, contender) })
          : relay.run(lease, callOf(run, lease, reply), expect, reply)
      }),
      (ended) => {
        run.outcome = ended.outcome
        if (ended._tag === "Answered") return Effect.succeed(answered(run, demand, ended))
        return failed(run, demand, reply, ended, request)
      },
    )
  }

  const failed = (
    run: Run,
    demand: Demand,
    reply: ReplySink,
    ended: AfterFailure.Failed,
    request?: () => RoutedRequest,
  ): Effect.Effect<Settled, Refusal> =>
    afterFailure.next(run, demand, reply, ended, (other) => admitted(run, other, reply, undefined, request))

  const answered = (run: Run, demand: Demand, ended: Answered): Settled => {
    // The backend has unloaded the model. Residency must not go on using it until the next reading.
    const unloaded = keepsNothing(run.request) && run.rewrote?.includes("keep_alive") !== true
    if (ended.outcome.kind === "success" && unloaded) residency.forget(run.backend!, demand.model)
    return run.end("answered", ended.status, undefined)
  }

  const attempts: Attempts = {
    attempt: (run, demand, reply, request) => admitted(run, demand, reply, undefined, request),
    admitNow: (run, demand) => {
      const inFiber = admission.admitNow === undefined || (hedged !== undefined && Hedge.hedges(run, demand))
      if (inFiber) return admitted(run, demand, run.reply, undefined)
      run.demand = demand
      let asked: Commit | undefined
      const now = admission.admitNow(demand, (waiting) => asked = commit(run, demand, waiting))
      if (now === undefined) return admitted(run, demand, run.reply, asked)
      leased(run, demand, now.lease)
      return now
    },
    send: (run, lease, ended) =>
      relay.start(lease, callOf(run, lease, run.reply), expected(run, false), run.reply, ended),
    answered,
    failed: (run, demand, ended) => failed(run, demand, run.reply, ended),
  }
  return attempts
})
