/**
 * One record per decision. Metrics, logs, history and traces all read these; the path of a request only writes one.
 *
 * @since 0.1.0
 */
import { Context, type Effect, type Scope } from "effect"
import type { HealthChange } from "./BackendHealth.ts"
import type { BreakerTransition } from "./Breaker.ts"
import type { LoadEnd, Spill } from "./Residency.ts"
import type { RoutedRequest } from "./RoutedRequest.ts"
import type { Settled } from "./Router.ts"

/**
 * A request's whole story. Bodies and keys are never in it.
 *
 * @category models
 * @since 0.1.0
 */
export interface RequestSettled {
  readonly _tag: "RequestSettled"
  /** Milliseconds by the router's clock. */
  readonly at: number
  readonly id: string
  readonly route: string
  readonly kind: RoutedRequest["endpoint"]["kind"]
  /** Canonical key; the client's spelling where no backend has it. */
  readonly model: string
  /** Whether `model` is known to the catalog: unknown names never become metric labels. */
  readonly known: boolean
  readonly tenant: string
  readonly settled: Settled
  readonly totalMillis: number
  readonly bytesIn: number
  readonly bytesOut: number
  /** Fields of the client's body that were not passed on as they were: `num_ctx`, `keep_alive`. */
  readonly rewrote?: ReadonlyArray<string> | undefined
  /** Whether it had to wait for a load of its model. */
  readonly cold?: boolean | undefined
}

/**
 * A first attempt was slow.
 *
 * - `won`, `lost`: the second one answered, or the first one did.
 * - `failed`: the second one failed before its first byte.
 * - `canceled`: the client left both.
 * - `nowhere`: no other backend had the model in memory and a place free; `over-budget`: there is none left for retries.
 *
 * @category models
 * @since 0.1.0
 */
export interface Hedged {
  readonly _tag: "Hedged"
  readonly at: number
  readonly id: string
  readonly model: string
  readonly first: string
  /** Absent where no second attempt was made. */
  readonly second: string | undefined
  /** Whose attempt was aborted, beside the one that the request's own record tells of. */
  readonly aborted: string | undefined
  readonly result: "won" | "lost" | "failed" | "canceled" | "nowhere" | "over-budget"
}

/** A shadow placement was asked about a decision. @category models @since 0.1.0 */
export interface Shadowed {
  readonly _tag: "Shadowed"
  readonly at: number
  readonly id: string
  readonly model: string
  /** Its name. */
  readonly shadow: string
  readonly took: string
  /** Its first choice; absent where it had none, or failed. */
  readonly would: string | undefined
  readonly result: "same" | "different" | "failed"
}

/** @category models @since 0.1.0 */
export type RouterEvent =
  | RequestSettled
  | {
    readonly _tag: "AttemptFailed"
    readonly at: number
    readonly id: string
    readonly backend: string
    readonly cause: string
  }
  | Hedged
  | { readonly _tag: "HealthChanged"; readonly at: number; readonly change: HealthChange }
  | { readonly _tag: "BreakerMoved"; readonly at: number; readonly transition: BreakerTransition }
  | { readonly _tag: "LoadEnded"; readonly at: number; readonly load: LoadEnd }
  | { readonly _tag: "ModelSpilled"; readonly at: number; readonly spill: Spill }
  | Shadowed

/**
 * The ring of events.
 *
 * @category services
 * @since 0.1.0
 */
export class RouterEvents extends Context.Service<RouterEvents, {
  /** Synchronous, never blocks, never fails: a record that finds too many unread ones before it is lost, and counted. */
  readonly publish: (event: RouterEvent) => void
  /** The last ones, newest first; under load a layer may keep only some of them. */
  readonly recent: (limit: number) => ReadonlyArray<RouterEvent>
  /** Tells the listeners at once what still waits for them, so that who reads their counters next reads nothing old. */
  readonly flush: () => void
  /** Records lost before anyone read them. */
  readonly lost: () => number
  /** Calls `listener` for each record, off the path of requests, in order, until the scope closes. */
  readonly subscribe: (listener: (event: RouterEvent) => void) => Effect.Effect<void, never, Scope.Scope>
}>()("llamero/services/RouterEvents") {}
