/**
 * Sends one request to a backend and passes the answer on to the reply, unchanged and within time limits.
 *
 * @since 0.1.0
 */
import { Context, type Effect } from "effect"
import type { Lease } from "./Leases.ts"
import type { Outcome } from "./Outcome.ts"
import type { ReplySink } from "./Reply.ts"
import type { StreamEnd } from "./RoutedRequest.ts"
import type { Call, Upstream } from "./Transport.ts"

/**
 * How an attempt ended. `Retry` means that it failed and that the reply got nothing of it, so another attempt may
 * follow.
 *
 * @category models
 * @since 0.1.0
 */
export type Attempt =
  | { readonly _tag: "Answered"; readonly status: number; readonly outcome: Outcome }
  | {
    readonly _tag: "Retry"
    readonly outcome: Outcome
    /** The backend's own error answer, if it gave one. The client gets it when no other attempt follows. */
    readonly answer: BackendAnswer | undefined
  }

/** A whole error answer that was held back. @category models @since 0.1.0 */
export interface BackendAnswer {
  readonly status: number
  readonly rawHeaders: ReadonlyArray<string>
  readonly body: Uint8Array
}

/** What the answer to a call has to be. @category models @since 0.1.0 */
export interface Expected {
  readonly streams: boolean
  readonly streamEnd: StreamEnd
  /** Whether the router itself reads the answer, so that it must be decoded. Defaults to `false`. */
  readonly reads?: boolean | undefined
  /**
   * Told when the call is handed to the transport, and when the last byte of the answer has come in, before it is
   * passed on. Present for some calls only.
   */
  readonly timing?: { readonly sent: () => void; readonly ending: () => void } | undefined
  /** Gets the time of the first byte of the answer when it comes, in milliseconds by the router's clock. */
  readonly record?: { firstByteAt: number | undefined } | undefined
}

const key = "llamero/services/Relay"
const Base: Context.ServiceClass<Relay, typeof key, Service> = Context.Service<Relay, Service>()(key)

/**
 * Runs attempts.
 *
 * @category services
 * @since 0.1.0
 */
export class Relay extends Base {}

/** The members of `Relay`. @category services @since 0.1.0 */
export interface Service {
  /**
   * Runs an attempt, and releases the lease with its outcome. Interruption aborts the call and releases the lease as
   * `ignored`.
   */
  readonly run: (
    lease: Lease,
    call: Call,
    expect: Expected,
    reply: ReplySink,
  ) => Effect.Effect<Attempt>
  /**
   * As `run`, without a fiber. Calls `done` once, perhaps before `start` returns, with how the attempt ended, and when
   * the first byte of the answer came, if one did, in milliseconds by the router's clock. `abort` of the returned value
   * ends the attempt as `ignored`.
   */
  readonly start: (
    lease: Lease,
    call: Call,
    expect: Expected,
    reply: ReplySink,
    done: (attempt: Attempt, firstByteAt: number | undefined) => void,
  ) => Upstream
  /** Number of attempts that are running. */
  readonly active: () => number
}
