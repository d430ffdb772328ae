/**
 * One client of a shared flight.
 *
 * @since 0.1.0
 */
import { Effect } from "effect"
import type { Refusal } from "../../services/Refusal.ts"
import type { ReplySink } from "../../services/Reply.ts"
import type { Settled } from "../../services/Router.ts"
import { TransportError, type Upstream } from "../../services/Transport.ts"
import type { Slotted } from "../../support/bag.ts"

/** Ends the `join` of one client. @internal */
export type Resume = (ended: Effect.Effect<Settled, Refusal>) => void

/** What a participant asks of its flight. @internal */
export interface Shared {
  /** The participant can take bytes again: gives it the chunks that it has not had yet. */
  readonly deliver: (participant: Participant) => void
  /** A participant became full, or is no longer full: pauses or resumes the upstream call. */
  readonly throttle: () => void
  readonly leave: (participant: Participant) => void
}

/** The record of a client that was cut off while its flight goes on. */
const stalled: Settled = {
  result: "answered",
  status: 200,
  refusal: undefined,
  outcome: { kind: "ignored", cause: "client-stalled" },
  backend: undefined,
  attempts: 0,
  queuedMillis: 0,
  coalesced: "identical",
}

/** A client of a flight. Its reply sees it as the upstream call. @internal */
export class Participant implements Upstream, Slotted {
  slot = -1
  readonly reply: ReplySink
  readonly resumes: Resume
  /** Number of the next chunk to give to it. */
  next = 0
  /** Bytes given to it so far. */
  sent = 0
  full = false
  /** Bytes that it may be behind before it is cut off. A client that joins late starts behind, so it may be further. */
  readonly behindMax: number
  private readonly flight: Shared

  constructor(flight: Shared, reply: ReplySink, resumes: Resume, behindMax: number) {
    this.flight = flight
    this.reply = reply
    this.resumes = resumes
    this.behindMax = behindMax
  }

  pause(): void {
    this.full = true
    this.flight.throttle()
  }

  resume(): void {
    // A participant that left, or was cut off, gets no more bytes.
    if (!this.full || this.slot < 0) return
    this.full = false
    this.flight.deliver(this)
    this.flight.throttle()
  }

  abort(): void {
    this.flight.leave(this)
  }

  /** Ends its reply with an error and its `join` with a record, because it reads too slowly. */
  cutOff(status: number): void {
    this.reply.fail(
      new TransportError({ reason: "Timeout", backend: "", description: "the client reads too slowly" }),
    )
    this.resumes(Effect.succeed({ ...stalled, status }))
  }
}
