/**
 * The record of one placement: the candidates as they were at that moment, what each filter and scorer said of them,
 * and the answer. It is made for some requests only.
 *
 * @since 0.1.0
 */
import type { HealthState } from "./BackendHealth.ts"
import type { BreakerState } from "./Breaker.ts"
import type { Backend, MemberState } from "./Fleet.ts"
import type { MemoryView, ResidencyState } from "./Residency.ts"
import type { Demand } from "./RoutedRequest.ts"

/** A backend that has the model on disk, as it was when the request was placed. @category models @since 0.1.0 */
export interface PlacedCandidate {
  readonly backend: Backend
  readonly member: MemberState
  readonly health: HealthState
  readonly version: string | undefined
  /** Leases of all models. */
  readonly streams: number
  /** Leases of the model, and the most that it may have. */
  readonly streamsOfModel: number
  readonly limitOfModel: number
  /** Averages in milliseconds; `undefined` before the first answer. */
  readonly serviceMillis: number | undefined
  readonly firstByteMillis: number | undefined
  readonly residency: ResidencyState
  readonly breaker: BreakerState
  /** Milliseconds that a load of the model is expected to take. */
  readonly loadMillis: number
  readonly memory: MemoryView | undefined
  readonly lastLeaseAt: number
  /** Whether the model in memory has the context that the request needs; `undefined` when not known. */
  readonly serves: boolean | undefined
  /** Why the last load of the model failed a moment ago; `undefined` if it did not. */
  readonly loadFailure: string | undefined
  /** Name of the filter that dropped it; `already-tried` where an attempt has failed on it. */
  readonly droppedBy: string | undefined
  /** By name of the scorer, from 0 to 1. */
  readonly scores: Readonly<Record<string, number>>
  /** The sum of the scores, each multiplied with its weight. */
  readonly total: number
}

/** A request was placed, or was not. @category models @since 0.1.0 */
export interface Placed {
  readonly _tag: "Placed"
  /** Milliseconds by the router's clock. */
  readonly at: number
  readonly id: string
  /** 1 for the first attempt. */
  readonly attempt: number
  /**
   * - `lease`: the attempt began on `took`.
   * - `wait`: every candidate was full, or could not serve it yet.
   * - `loading`: a load of the model is under way.
   * - `refused`: no candidate can serve it, whatever the wait.
   */
  readonly answer: "lease" | "wait" | "loading" | "refused"
  readonly took: string | undefined
  /** The words of the refusal. */
  readonly refusal: string | undefined
  /** Requests that waited for the model, this one included. */
  readonly waiting: number
  readonly demand: Demand
  /** The best ones first, then those that filters dropped; at most 16. */
  readonly candidates: ReadonlyArray<PlacedCandidate>
  /** Backends with the model that are not in `candidates`. */
  readonly others: number
  /** Backends without the model. */
  readonly without: number
}

/**
 * Why a candidate could not give a lease at that moment, in words that follow its name; `undefined` if nothing in the
 * record says so.
 *
 * @category accessors
 * @since 0.1.0
 */
export const leaseRefusal = (candidate: PlacedCandidate, demand: Demand): string | undefined => {
  const { backend, breaker, limitOfModel, loadFailure, residency, serves, streams, streamsOfModel } = candidate
  if (breaker === "open" || breaker === "isolated") return `has a breaker that is ${breaker}`
  if (demand.loads && !demand.model.remote) {
    if (residency === "loading") return "was loading the model"
    if (residency === "draining") return "was about to unload the model"
    if (residency === "absent") {
      return loadFailure === undefined
        ? "did not have the model in memory"
        : `had failed to load the model a moment before: ${loadFailure}`
    }
    if (serves === false) return "had the model in memory with another context length"
  }
  if (streams >= backend.streamsMax) return `served ${streams} requests, all that it may`
  if (streamsOfModel >= limitOfModel) return `served ${streamsOfModel} requests of the model, all that it may`
  return undefined
}
