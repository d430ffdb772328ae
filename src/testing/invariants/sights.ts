/**
 * What there is to see of a router from outside, and who looks. A checker knows one invariant, and says what breaks it.
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
export interface Answer {
  readonly id: string
  readonly endpoint: Endpoint
  readonly model: string
  readonly tenant: string
  readonly streams: boolean
  /** Statuses sent; one of them is right. */
  readonly statuses: Array<number>
  /** Everything but signs of life, in order. */
  readonly chunks: Array<Uint8Array>
  /** Signs of life that came in the middle of a record. */
  misplaced: number
  /** How often a backend's answer began to be passed on. */
  opens: number
  /** How often it ended, and how: whole, or with a broken connection. */
  readonly endings: Array<"finished" | "cut">
  /** The client left before the end. */
  left: boolean
}

/** One exchange with one backend. @category models @since 0.1.0 */
export interface Sent {
  /** Of the request that it was sent for. */
  readonly id: string
  readonly backend: string
  readonly chunks: Array<Uint8Array>
  status: number
  ending: "end" | "fail" | "abort" | undefined
}

/** A backend and a model there. @category models @since 0.1.0 */
export interface There {
  readonly backend: string
  readonly model: string
}

/** A request's place in a queue, from its arrival there. @category models @since 0.1.0 */
export interface Place {
  readonly id: string
  readonly model: string
  readonly tenant: string
  readonly priority: Priority
  /** It has been sent before, and goes in front. */
  readonly again: boolean
  /** Equal in two that ask for the same of the model. */
  readonly wants: string
}

/** Everything that checkers may look at, by name; the watching layers and `Watch.tell` say it. @category models @since 0.1.0 */
export interface Sights {
  readonly asked: Answer
  readonly closed: Answer
  readonly event: RouterEvent
  /** About to be sent. */
  readonly sent: Sent
  readonly over: Sent
  /** `uses`: it needs the model in memory, as all but calls that unload it do. */
  readonly leased: { readonly lease: There; readonly uses: boolean }
  /** About to be given back. */
  readonly released: { readonly lease: There; readonly outcome: Outcome }
  /** Leases held now, by the router's own books. */
  readonly counted: number
  /** With the states just before, of the backend's breaker, and the worse of it and the model's there. */
  readonly permit: There & {
    readonly permit: Permit | undefined
    readonly whole: BreakerState
    readonly worse: BreakerState
  }
  readonly recorded: There & { readonly permit: Permit; readonly outcome: Outcome }
  readonly moved: BreakerTransition
  readonly loading: There & { readonly devices: ReadonlyArray<string> }
  readonly loaded: There
  readonly unloading: There
  readonly pinned: There
  readonly unpinned: There
  readonly reserved: {
    readonly allocations: ReadonlyArray<Allocation>
    readonly devices: ReadonlyArray<DeviceStatus>
  }
  /** A good reading. */
  readonly read: { readonly device: string; readonly total: number; readonly free: number }
  readonly waiting: Place
  readonly granted: { readonly place: Place; readonly at: number }
  /** It waits for a load, and those behind it may go meanwhile. */
  readonly passedBy: { readonly place: Place; readonly at: number }
  readonly gone: Place
  readonly queues: ReadonlyArray<{ readonly model: string; readonly depth: number; readonly bytes: number }>
  /** Nothing is under way, and nobody has asked for a while. */
  readonly idle: Idle
}

/** What is left when nothing is under way: counts, all of which are to be 0. @category models @since 0.1.0 */
export interface Idle {
  readonly active: number
  readonly leases: number
  readonly exchanges: number
  readonly queues: number
  readonly streams: number
  /** Charged by the ledger, and in memory by what residency says: `backend model`, sorted; `undefined` where memory is not managed. */
  readonly allocations: ReadonlyArray<string> | undefined
  readonly resident: ReadonlyArray<string>
}

/** Looks at some of it; a text is a violation. @category models @since 0.1.0 */
export interface Checker {
  readonly invariant: number
  readonly name: string
  readonly see: { readonly [K in keyof Sights]?: (what: Sights[K]) => string | undefined | void }
}

/** An invariant that did not hold: its number, who saw it, and what there was. @category models @since 0.1.0 */
export interface Violation {
  readonly invariant: number
  readonly checker: string
  readonly what: string
}

type Looks = {
  readonly [K in keyof Sights]: Array<
    { readonly by: Checker; readonly look: (what: Sights[K]) => string | undefined | void }
  >
}

/** Shows everything to everyone who looks for it, and keeps what they object to. @category models @since 0.1.0 */
export class Watch {
  readonly violations: Array<Violation> = []
  private readonly looks: Looks = {
    asked: [],
    closed: [],
    event: [],
    sent: [],
    over: [],
    leased: [],
    released: [],
    counted: [],
    permit: [],
    recorded: [],
    moved: [],
    loading: [],
    loaded: [],
    unloading: [],
    pinned: [],
    unpinned: [],
    reserved: [],
    read: [],
    waiting: [],
    granted: [],
    passedBy: [],
    gone: [],
    queues: [],
    idle: [],
  }
  constructor(checkers: ReadonlyArray<Checker>) {
    const add = <K extends keyof Sights>(by: Checker, sight: K): void => {
      const look = by.see[sight]
      if (look !== undefined) this.looks[sight].push({ by, look })
    }
    for (const checker of checkers) {
      for (const sight of Object.keys(this.looks) as Array<keyof Sights>) add(checker, sight)
    }
  }
  tell<K extends keyof Sights>(sight: K, what: Sights[K]): void {
    for (const { by, look } of this.looks[sight]) {
      const wrong = look(what)
      if (typeof wrong === "string") this.violations.push({ invariant: by.invariant, checker: by.name, what: wrong })
    }
  }
}
