/**
 * Publishes one event for each decision. A request only writes events. Metrics, logs and history read them in the
 * background.
 *
 * @since 0.1.0
 */
import { Context, type Effect, type Scope } from "effect"
import type { HealthChange } from "./BackendHealth.ts"
import type { BreakerTransition } from "./Breaker.ts"
import type { Placed } from "./Placed.ts"
import type { Refused } from "./Refused.ts"
import type { LoadEnd, Spill } from "./Residency.ts"
import type { RoutedRequest } from "./RoutedRequest.ts"
import type { Settled } from "./Router.ts"
import type { Trace } from "./Trace.ts"

/**
 * All facts about one request, except its body and its API key.
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
  /** The model that the client asked for, in its spelling. */
  readonly asked?: string | undefined
  /** Canonical key of the model; the client's spelling where no backend has it. */
  readonly model: string
  /** Whether the catalog knows `model`. Unknown names never become metric labels. */
  readonly known: boolean
  readonly tenant: string
  readonly settled: Settled
  readonly totalMillis: number
  readonly bytesIn: number
  readonly bytesOut: number
  /** Fields of the client's body that were changed or removed: `num_ctx`, `keep_alive`. */
  readonly rewrote?: ReadonlyArray<string> | undefined
  /** Whether it waited for a load of its model. */
  readonly cold?: boolean | undefined
  /**
   * When it passed each stage, in milliseconds by the router's clock; `undefined` for a stage that it did not reach, or
   * that another request's call reached for it. In this order: its head came, its body had come, it had passed the
   * guards, its model first was loading for it, it got the lease of its last attempt, and the first byte came of the
   * last answer. `at` is its end.
   */
  readonly arrivedAt?: number | undefined
  readonly receivedAt?: number | undefined
  readonly askedAt?: number | undefined
  readonly loadingAt?: number | undefined
  readonly leasedAt?: number | undefined
  readonly firstByteAt?: number | undefined
  /** Its place in a trace, where there is tracing. */
  readonly trace?: Trace | undefined
  /** Whether an API key names `tenant`. Otherwise the client could have chosen it, and it never becomes a label. */
  readonly keyed?: boolean | undefined
  /**
   * Milliseconds, with fractions, that the router itself has added: from arrival to dispatch without the waits for a
   * slot and a load, and from the last byte in to the last byte out. Measured for some requests only.
   */
  readonly routingMillis?: number | undefined
  /** What the answer cost, in the unit of `Backend.price`; absent where its backend has no price. */
  readonly cost?: number | undefined
}

/**
 * A server has refused a request before the router could take it: its body could not be read or was too long, nobody
 * serves its path, a key for a list was missing.
 *
 * @category models
 * @since 0.1.0
 */
export interface RequestRefused extends Omit<Refused, "headers"> {
  readonly _tag: "RequestRefused"
  /** Milliseconds by the router's clock. */
  readonly at: number
  /** Its place in a trace, where there is tracing. */
  readonly trace?: Trace | undefined
}

/**
 * A first attempt was slow, so a second one was made or considered.
 *
 * - `won`: the second attempt answered first. `lost`: the first one did.
 * - `failed`: the second attempt failed before its first byte.
 * - `canceled`: the client left during both attempts.
 * - `nowhere`: no other backend had the model in memory and a free slot.
 * - `over-budget`: the retry budget was used up.
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
  /** Absent if no second attempt was made. */
  readonly second: string | undefined
  /** The backend whose attempt was aborted, if it is not the one in the record of the request. */
  readonly aborted: string | undefined
  readonly result: "won" | "lost" | "failed" | "canceled" | "nowhere" | "over-budget"
}

/** A shadow placement was asked about a decision. @category models @since 0.1.0 */
export interface Shadowed {
  readonly _tag: "Shadowed"
  readonly at: number
  readonly id: string
  readonly model: string
  /** Name of the shadow placement. */
  readonly shadow: string
  readonly took: string
  /** Its first choice; absent if it had none, or failed. */
  readonly would: string | undefined
  readonly result: "same" | "different" | "failed"
}

/**
 * What an operator can change.
 *
 * @category models
 * @since 0.1.0
 */
export type AdminAction =
  | "drain"
  | "undrain"
  | "isolate"
  | "load"
  | "unload"
  | "pin"
  | "unpin"
  | "prewarm"
  | "reload"
  | "log"

/** An operator has changed something, or has tried to: the audit event. @category models @since 0.1.0 */
export interface AdminChanged {
  readonly _tag: "AdminChanged"
  /** Milliseconds since the epoch, by the router's clock. */
  readonly at: number
  /** The name of the token, never the token; or what has caused a reload: `SIGHUP` or `file`. */
  readonly who: string
  /** The address from which the operator has connected; absent where the server does not know it. */
  readonly address: string | undefined
  readonly action: AdminAction
  readonly backend: string | undefined
  /** Canonical key of the model; the operator's spelling where no backend has it. */
  readonly model: string | undefined
  /** `refused`: it cannot be done now, or there is no such backend or model. `failed`: it was tried and failed. */
  readonly result: "done" | "refused" | "failed"
  /** What has changed, or why nothing has, for people. */
  readonly reason: string
}

/** @category models @since 0.1.0 */
export type RouterEvent =
  | AdminChanged
  | Placed
  | RequestRefused
  | RequestSettled
  | {
    readonly _tag: "AttemptFailed"
    readonly at: number
    readonly id: string
    readonly backend: string
    readonly cause: string
    /** Set where no record of a request will tell of the attempt: all clients of a shared call have left. */
    readonly trace?: Trace | undefined
  }
  | Hedged
  | { readonly _tag: "HealthChanged"; readonly at: number; readonly change: HealthChange }
  | { readonly _tag: "BreakerMoved"; readonly at: number; readonly transition: BreakerTransition }
  | { readonly _tag: "LoadEnded"; readonly at: number; readonly load: LoadEnd }
  | { readonly _tag: "ModelSpilled"; readonly at: number; readonly spill: Spill }
  | Shadowed

const key = "llamero/services/RouterEvents"
const Base: Context.ServiceClass<RouterEvents, typeof key, Service> = Context.Service<RouterEvents, Service>()(key)

/**
 * Publishes events and keeps the last ones.
 *
 * @category services
 * @since 0.1.0
 */
export class RouterEvents extends Base {}

/** The members of `RouterEvents`. @category services @since 0.1.0 */
export interface Service {
  /** Synchronous; never blocks and never fails. An event is lost, and counted, if too many wait for the listeners. */
  readonly publish: (event: RouterEvent) => void
  /** The last events, newest first. Under load a layer may keep only some of them. */
  readonly recent: (limit: number) => ReadonlyArray<RouterEvent>
  /** Calls the listeners now for all events that wait, so that counters read next are up to date. */
  readonly flush: () => void
  /** How many events were lost. */
  readonly lost: () => number
  /** Calls `listener` for each event, in order and in the background, until the scope closes. */
  readonly subscribe: (listener: (event: RouterEvent) => void) => Effect.Effect<void, never, Scope.Scope>
}
