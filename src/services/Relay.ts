/**
 * One exchange with one backend: bytes through unchanged, watched for what is missing.
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
 * How an attempt ended. After `Retry` nothing of it has reached the reply.
 *
 * @category models
 * @since 0.1.0
 */
export type Attempt =
  | { readonly _tag: "Answered"; readonly status: number; readonly outcome: Outcome }
  | {
    readonly _tag: "Retry"
    readonly outcome: Outcome
    /** The backend's own answer, where it gave one: passed on if no other attempt is made. */
    readonly answer: BackendAnswer | undefined
  }

/** A whole answer held back. @category models @since 0.1.0 */
export interface BackendAnswer {
  readonly status: number
  readonly rawHeaders: ReadonlyArray<string>
  readonly body: Uint8Array
}

/**
 * Runs attempts.
 *
 * @category services
 * @since 0.1.0
 */
export class Relay extends Context.Service<Relay, {
  /** Releases the lease when the upstream ends, with the outcome. Interruption aborts the upstream and releases the lease as `ignored`. */
  readonly run: (
    lease: Lease,
    call: Call,
    expect: { readonly streams: boolean; readonly streamEnd: StreamEnd },
    reply: ReplySink,
  ) => Effect.Effect<Attempt>
  /** `run` without a fiber: `done` hears how the attempt ended, once, perhaps before `start` returns. To abort it is to end it as `ignored`. */
  readonly start: (
    lease: Lease,
    call: Call,
    expect: { readonly streams: boolean; readonly streamEnd: StreamEnd },
    reply: ReplySink,
    done: (attempt: Attempt) => void,
  ) => Upstream
  /** Exchanges under way. */
  readonly active: () => number
}>()("llamero/services/Relay") {}
