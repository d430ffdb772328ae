/**
 * Records placements with all their reasons, so many a second and no more: first those of requests that waited, were
 * refused or are tried again, then any.
 *
 * @since 0.1.0
 */
import { Clock, Effect } from "effect"
import type { BackendView, FleetView } from "../../services/FleetView.ts"
import { type Commit, isLease, Leases } from "../../services/Leases.ts"
import type { Live } from "../../services/Live.ts"
import { type Explanation, Placement } from "../../services/Placement.ts"
import type { Placed, PlacedCandidate } from "../../services/Placed.ts"
import type { Refusal } from "../../services/Refusal.ts"
import { Residency } from "../../services/Residency.ts"
import type { Demand } from "../../services/RoutedRequest.ts"
import { RouterEvents } from "../../services/RouterEvents.ts"

/** More would fill the memory of a large fleet. */
const candidatesMax = 16

/** The candidates of a placement, as they were before the commit. @internal */
export type Seen = Pick<Placed, "candidates" | "others" | "without">

interface Services {
  readonly clock: Clock.Clock
  readonly events: RouterEvents["Service"]
  readonly leases: Leases["Service"]
  readonly placement: Placement["Service"]
  readonly residency: Residency["Service"]
}

/** @internal */
export class PlacementRecords {
  private readonly services: Services
  private readonly perSecond: Live<number>
  private second = -1
  private used = 0

  constructor(services: Services, perSecond: Live<number>) {
    this.services = services
    this.perSecond = perSecond
  }

  /** To be called before a commit. The candidates where the placement is to be recorded. */
  before(demand: Demand): Seen | undefined {
    const isSpecial = demand.waiting !== undefined || demand.excluded.length > 0
    const perSecond = this.perSecond.now
    return this.mayRecord(isSpecial ? perSecond : perSecond / 2) ? this.seen(demand) : undefined
  }

  /** To be called after the commit. `waiting`: requests that wait for the model. */
  after(attempt: number, demand: Demand, waiting: number, committed: Commit, before: Seen | undefined): void {
    const lease = isLease(committed) ? committed : undefined
    const refusal = lease === undefined && typeof committed === "object" ? committed as Refusal : undefined
    // A request that waits is asked about again and again: only its first question and its end are told.
    if (typeof committed === "string" && demand.waiting !== undefined) return
    // Nothing was taken, so the candidates are still as they were; only a load may have begun.
    const seen = before ?? (lease === undefined && this.mayRecord(this.perSecond.now) ? this.seen(demand) : undefined)
    if (seen === undefined) return
    this.services.events.publish({
      _tag: "Placed",
      at: this.services.clock.currentTimeMillisUnsafe(),
      id: demand.id,
      attempt,
      answer: typeof committed === "string" ? committed : lease === undefined ? "refused" : "lease",
      took: lease?.backend.id,
      refusal: refusal?.message,
      waiting,
      // A copy: the demand goes on to change, and holds its place in the queue.
      demand: { ...demand, waiting: undefined },
      ...seen,
    })
  }

  private mayRecord(most: number): boolean {
    if (most === 0) return false
    const now = Math.floor(this.services.clock.currentTimeMillisUnsafe() / 1000)
    if (now !== this.second) {
      this.second = now
      this.used = 0
    }
    if (this.used >= most) return false
    this.used++
    return true
  }

  private seen(demand: Demand): Seen | undefined {
    const { leases: { view }, placement } = this.services
    const owners = view.owners(demand.model)
    const fleet: FleetView = {
      backends: owners,
      owners: (model) => view.owners(model),
      find: (id) => view.find(id),
    }
    try {
      const reasons = placement.explain(demand, fleet)
      const candidates = owners.flatMap((one) => {
        const reason = reasons.find(({ backend }) => backend === one.backend.id)
        return reason === undefined ? [] : [this.candidate(one, demand, reason)]
      }).sort((a, b) => Number(a.droppedBy !== undefined) - Number(b.droppedBy !== undefined) || b.total - a.total)
      return {
        candidates: candidates.slice(0, candidatesMax),
        others: Math.max(0, candidates.length - candidatesMax),
        without: view.backends.length - owners.length,
      }
    } catch {
      // A scorer that throws for a backend that a filter has dropped must not change the decision.
      return undefined
    }
  }

  private candidate(view: BackendView, demand: Demand, reason: Explanation): PlacedCandidate {
    const { model } = demand
    const { residency } = this.services
    const { droppedBy, scores, total } = reason
    const { id } = view.backend
    return {
      backend: view.backend,
      member: view.member,
      health: view.health,
      version: view.version,
      streams: view.streams,
      streamsOfModel: view.streamsOf(model),
      limitOfModel: view.limitOf(model),
      serviceMillis: view.serviceMillisOf(model),
      firstByteMillis: view.firstByteMillis,
      residency: view.residency(model),
      breaker: view.breaker(model),
      loadMillis: view.loadMillis(model),
      memory: view.memory(model),
      lastLeaseAt: view.lastLeaseAt,
      serves: residency.serves(id, model, demand.numCtx),
      loadFailure: residency.failure(id, model)?.description,
      droppedBy,
      scores,
      total,
    }
  }
}

/** @internal */
export const make = (perSecond: Live<number>) =>
  Effect.gen(function* () {
    const services = {
      clock: yield* Clock.Clock,
      events: yield* RouterEvents,
      leases: yield* Leases,
      placement: yield* Placement,
      residency: yield* Residency,
    }
    return new PlacementRecords(services, perSecond)
  })
