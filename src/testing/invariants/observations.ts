/**
 * What can be observed of a router from outside, as checkers are told it.
 *
 * @since 0.1.0
 */
import type { BreakerState, BreakerTransition, Permit } from "../../services/Breaker.ts"
import type { Outcome } from "../../services/Outcome.ts"
import type { Priority } from "../../services/Priority.ts"
import type { Endpoint } from "../../services/RoutedRequest.ts"
import type { RouterEvent } from "../../services/RouterEvents.ts"
import type { Allocation, DeviceStatus } from "../../services/VramLedger.ts"

/** One request, and all that its client got. @category models @since 0.1.0 */
export interface ClientAnswer {
  readonly id: string
  readonly endpoint: Endpoint
  readonly model: string
  readonly tenant: string
  /** Whether the client asked for a stream. */
  readonly streams: boolean
  /** The statuses that were sent. More than one is a violation. */
  readonly statuses: Array<number>
  /** Whether the answer had a `Content-Length`: it is no stream then, although the client asked for one. */
  measured: boolean
  /** The bytes that the client got, in order, without heartbeats. */
  readonly chunks: Array<Uint8Array>
  /** Heartbeats that came in the middle of a record. */
  misplaced: number
  /** How often the router began to pass on an answer of a backend. */
  opens: number
  /** How often the answer ended, and how: in full, or with a broken connection. */
  readonly endings: Array<"finished" | "cut">
  /** Whether the client left before the end. */
  left: boolean
}

/** One exchange with one backend. @category models @since 0.1.0 */
export interface Attempt {
  /** The id of the request. */
  readonly id: string
  readonly backend: string
  /** The bytes that the backend sent. */
  readonly chunks: Array<Uint8Array>
  /** `0` until the backend sent one. */
  status: number
  ending: "end" | "fail" | "abort" | undefined
}

/** A model on a backend. @category models @since 0.1.0 */
export interface ModelOnBackend {
  readonly backend: string
  readonly model: string
}

/** A request that waits for admission. @category models @since 0.1.0 */
export interface QueuePlace {
  readonly id: string
  readonly model: string
  readonly tenant: string
  readonly priority: Priority
  /** Whether it was sent to a backend before. Such a request goes to the front of the queue. */
  readonly again: boolean
  /** Equal for two requests that ask the same of the model: kind, context and whether they load it. */
  readonly wants: string
}

/**
 * Each observation by its name. The layers of `Watched`, and callers of `Watch.tell`, make them.
 *
 * @category models
 * @since 0.1.0
 */
export interface Observations {
  /** A client asked. */
  readonly asked: ClientAnswer
  /** The answer ended, or its client left. */
  readonly closed: ClientAnswer
  readonly event: RouterEvent
  /** An attempt begins. */
  readonly sent: Attempt
  /** An attempt ended. */
  readonly over: Attempt
  /** A lease was granted. `uses`: it needs the model in memory, as all calls do but those that unload it. */
  readonly leased: { readonly lease: ModelOnBackend; readonly uses: boolean }
  /** A lease is about to be released. */
  readonly released: { readonly lease: ModelOnBackend; readonly outcome: Outcome }
  /** The number of leases that `Leases` says are held. */
  readonly counted: number
  /**
   * A breaker was asked for a permit. `whole` is the state of the backend's breaker just before; `worse` is the worse
   * of it and the breaker of the model there.
   */
  readonly permit: ModelOnBackend & {
    readonly permit: Permit | undefined
    readonly whole: BreakerState
    readonly worse: BreakerState
  }
  readonly recorded: ModelOnBackend & { readonly permit: Permit; readonly outcome: Outcome }
  /** A breaker changed its state. */
  readonly moved: BreakerTransition
  /** A load was asked for, whether it starts now or not. */
  readonly wanted: ModelOnBackend & { readonly devices: ReadonlyArray<string> }
  /** A load begins in a backend. */
  readonly loading: ModelOnBackend & { readonly devices: ReadonlyArray<string> }
  /** A load ended in a backend, well or badly. */
  readonly loaded: ModelOnBackend
  readonly unloading: ModelOnBackend
  readonly pinned: ModelOnBackend
  readonly unpinned: ModelOnBackend
  /** The ledger reserved memory. Its devices, and everything that is allocated now. */
  readonly reserved: {
    readonly allocations: ReadonlyArray<Allocation>
    readonly devices: ReadonlyArray<DeviceStatus>
  }
  /** The ledger refused memory. `full`: devices are too full, as opposed to a load under way or a missing reading. */
  readonly noRoom: ModelOnBackend & { readonly full: boolean }
  /** A good reading of a device, in bytes. */
  readonly read: { readonly device: string; readonly total: number; readonly free: number }
  /** A request that arrived at that time, in milliseconds, asks for admission. */
  readonly waiting: { readonly place: QueuePlace; readonly at: number }
  /**
   * A request got its lease, at that time in milliseconds. `raised`: a more urgent request has joined its call while it
   * waited, so that it belongs to a better class than its place says.
   */
  readonly granted: { readonly place: QueuePlace; readonly at: number; readonly raised?: boolean }
  /** A request was told that it waits for a load. Requests behind it may pass it meanwhile. */
  readonly passedBy: { readonly place: QueuePlace; readonly at: number }
  /** A request left admission: its use ended, it was refused, or its client left. */
  readonly gone: QueuePlace
  readonly queues: ReadonlyArray<{ readonly model: string; readonly depth: number; readonly bytes: number }>
  /** Nothing is under way, and no request has come for a while. */
  readonly idle: Idle
}

/** What an idle router still holds: every count must be 0. @category models @since 0.1.0 */
export interface Idle {
  readonly active: number
  readonly leases: number
  readonly exchanges: number
  readonly queues: number
  readonly streams: number
  /** What the ledger charges, as sorted texts `backend model`; `undefined` where memory is not managed. */
  readonly allocations: ReadonlyArray<string> | undefined
  /** What residency says is in memory, in the same form. */
  readonly resident: ReadonlyArray<string>
}
