/**
 * Answers a demand: waits for a lease, sends the call, and tries again on another backend when that may help.
 *
 * @since 0.1.0
 */
import { Clock, Effect } from "effect"
import { Admission, type Admitted } from "../../services/Admission.ts"
import { type Commit, isLease, type Lease, Leases } from "../../services/Leases.ts"
import * as Live from "../../services/Live.ts"
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
import * as Records from "./placementRecords.ts"
import { keepsNothing, type Run } from "./requestState.ts"

/** @internal */
export interface Options {
  readonly retry: RetryPolicy
  readonly clients: Policy
  readonly forwardCredentials: boolean
  readonly companyOf: CompanyOf
  readonly missing: MissingPaths
  /** Placements that are recorded in a second; none when 0. */
  readonly recordsPerSecond: Live.Input<number>
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

type Ended = Parameters<Relay["Service"]["start"]>[4]

/** @internal */
export type Answered = Attempt & { readonly _tag: "Answered" }

const expected = ({ request, timing }: Run, isShared: boolean): Expected => {
  const { dialect, streamEnd } = request.endpoint
  // generate-v1 is translated, and the answer of a batch is split.
  return { streams: streams(request), streamEnd, reads: dialect === "generate-v1" || isShared, timing }
}

type CallOf = Effect.Success<ReturnType<typeof Call.make>>
type Hedged = Effect.Success<ReturnType<typeof Hedge.make>>

/** What attempts need, besides the options. */
interface Tools {
  readonly admission: Admission["Service"]
  readonly clock: Clock.Clock
  readonly leases: Leases["Service"]
  readonly placement: Placement["Service"]
  readonly relay: Relay["Service"]
  readonly residency: Residency["Service"]
  readonly clients: Policy
  readonly callOf: CallOf
  readonly afterFailure: AfterFailure.AfterFailure
  readonly hedged: Hedged | undefined
  readonly records: Records.PlacementRecords | undefined
}

/** @internal */
export class Attempts {
  private readonly tools: Tools

  constructor(tools: Tools) {
    this.tools = tools
  }

  readonly attempt: Attempting = (run, demand, reply, request) => this.inFiber(run, demand, reply, undefined, request)

  /** For the run's own reply: the lease of a first attempt that needs no fiber, or else what has to run in one. */
  admitNow(run: Run, demand: Demand): Admitted | Effect.Effect<Settled, Refusal> {
    const { admission, hedged } = this.tools
    if (admission.admit.now === undefined || (hedged !== undefined && Hedge.hedges(run, demand))) {
      return this.inFiber(run, demand, run.reply, undefined)
    }
    run.demand = demand
    let asked: Commit | undefined
    const admitted = admission.admit.now(demand, (waiting) => asked = this.commit(run, demand, waiting))
    if (admitted === undefined) return this.inFiber(run, demand, run.reply, asked)
    this.leased(run, demand, admitted.lease)
    return admitted
  }

  /** Sends the call of such an attempt. `ended` gets its end. */
  send(run: Run, lease: Lease, ended: Ended): Upstream {
    const { callOf, relay } = this.tools
    return relay.start(lease, callOf(run, lease, run.reply), expected(run, false), run.reply, ended)
  }

  answered(run: Run, demand: Demand, ended: Answered): Settled {
    // The backend has unloaded the model. Residency must not go on using it until the next reading.
    const unloaded = keepsNothing(run.request) && run.rewrote?.includes("keep_alive") !== true
    if (ended.outcome.kind === "success" && unloaded) this.tools.residency.forget(run.backend!, demand.model)
    return run.end("answered", ended.status, undefined)
  }

  /** What follows an attempt that has failed. */
  failed(
    run: Run,
    demand: Demand,
    reply: ReplySink,
    ended: AfterFailure.Failed,
    request?: () => RoutedRequest,
  ): Effect.Effect<Settled, Refusal> {
    return this.tools.afterFailure.next(run, demand, reply, ended, (other) => this.attempt(run, other, reply, request))
  }

  /** An attempt in a fiber. `asked` is what `commit` has answered already in this step. */
  private inFiber(
    run: Run,
    demand: Demand,
    reply: ReplySink,
    asked: Commit | undefined,
    request?: () => RoutedRequest,
  ): Effect.Effect<Settled, Refusal> {
    const { admission, callOf, hedged } = this.tools
    let first = asked
    run.demand = demand
    const commit = (waiting: number): Commit => {
      const committed = first ?? this.commit(run, demand, waiting)
      first = undefined
      return committed
    }
    const expect = expected(run, request !== undefined)
    return Effect.flatMap(
      admission.admit(demand, commit, (lease) => {
        this.leased(run, demand, lease)
        if (request !== undefined) run.request = request()
        return hedged !== undefined && Hedge.hedges(run, lease.demand)
          ? hedged(lease, { run, expect, reply, call: (to, contender) => callOf(run, to, contender) })
          : this.single(run, lease, expect, reply)
      }),
      (ended) => {
        run.outcome = ended.outcome
        if (ended._tag === "Answered") return Effect.succeed(this.answered(run, demand, ended))
        return this.failed(run, demand, reply, ended, request)
      },
    )
  }

  /** As `Relay.run`. Keeps the time of the first byte, also when the client leaves. */
  private single(run: Run, lease: Lease, expect: Expected, reply: ReplySink): Effect.Effect<Attempt> {
    const { callOf, relay } = this.tools
    return Effect.callback((resume) => {
      const upstream = relay.start(lease, callOf(run, lease, reply), expect, reply, (ended, firstByteAt) => {
        run.firstByteAt = firstByteAt
        resume(Effect.succeed(ended))
      })
      return Effect.sync(() => upstream.abort())
    })
  }

  /** Ranks the backends and takes a lease, in one step. */
  private commit(run: Run, demand: Demand, waiting: number): Commit {
    run.timing?.go()
    const committed = this.place(run, demand, waiting)
    if (!isLease(committed)) run.timing?.wait()
    return committed
  }

  private place(run: Run, demand: Demand, waiting: number): Commit {
    const { clients, leases, placement, records, residency } = this.tools
    const explicit = demand.loads && !demand.model.remote && !clients.passThrough
    const numCtx = explicit ? run.request.envelope.numCtx : undefined
    const placed = numCtx === undefined ? demand : tiered(demand, numCtx, residency, clients)
    if ("_tag" in placed) return placed
    const candidates = records?.before(placed)
    const ranking = placement.rank(placed, leases.view)
    const committed = leases.commit(ranking, placed, waiting)
    records?.after(run.attempts + 1, placed, waiting, committed, candidates)
    if (ranking.taken !== undefined && isLease(committed)) ranking.taken(committed.backend.id)
    run.working = committed !== "wait"
    if (committed === "loading") {
      run.cold = true
      run.loadingAt ??= this.tools.clock.currentTimeMillisUnsafe()
    }
    return committed
  }

  private leased(run: Run, demand: Demand, { backend }: Lease): void {
    run.attempts++
    if (demand.cold === true) run.cold = true
    run.outcome = undefined
    run.backend = backend.id
    run.firstByteAt = undefined
    run.leasedAt = this.tools.clock.currentTimeMillisUnsafe()
    run.queuedMillis = run.leasedAt - demand.since
    run.price = backend.price
  }
}

/** @internal */
export const make = Effect.fnUntraced(function* (options: Options) {
  const { clients, companyOf, forwardCredentials, missing, recordsPerSecond, retry } = options
  const events = yield* RouterEvents
  const leases = yield* Leases
  const placement = yield* Placement
  const relay = yield* Relay
  const residency = yield* Residency
  const afterFailure = yield* AfterFailure.make(retry, missing)
  const { hedging } = retry
  const race = { events, leases, placement, relay, residency, retry, failed: afterFailure.record }
  return new Attempts({
    admission: yield* Admission,
    clock: yield* Clock.Clock,
    leases,
    placement,
    relay,
    residency,
    clients,
    callOf: yield* Call.make(clients, forwardCredentials, companyOf),
    afterFailure,
    hedged: hedging === undefined ? undefined : yield* Hedge.make({ ...race, hedging }),
    records: recordsPerSecond === 0 ? undefined : yield* Records.make(Live.of(recordsPerSecond)),
  })
})
