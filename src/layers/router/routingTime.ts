/**
 * Measures what the router itself adds to a request.
 *
 * @since 0.1.0
 */
import type { Clock } from "effect"

/** Of so many requests one is measured: reading the clock takes a part of what is measured. */
const sampleEvery = 16

/** A stopwatch that runs while the router works for a request, and not while it waits. @internal */
export class RoutingTime {
  private readonly clock: Clock.Clock
  /** Since when it runs; `undefined` while it does not. */
  private since: bigint | undefined
  private nanos = 0n
  private complete = false

  constructor(clock: Clock.Clock) {
    this.clock = clock
    this.since = clock.currentTimeNanosUnsafe()
  }

  /** The router goes on. */
  readonly go = (): void => {
    this.since ??= this.clock.currentTimeNanosUnsafe()
  }

  /** The request waits: for a slot, a load or its backend. */
  readonly wait = (): void => {
    if (this.since === undefined) return
    this.nanos += this.clock.currentTimeNanosUnsafe() - this.since
    this.since = undefined
  }

  readonly sent = this.wait

  /** The last byte of the answer has come. */
  readonly ending = (): void => {
    this.complete = true
    this.go()
  }

  /** Milliseconds, with fractions; `undefined` for a request whose answer did not come to its end in one attempt. */
  millis(attempts: number): number | undefined {
    if (!this.complete || attempts !== 1) return undefined
    this.wait()
    return Number(this.nanos) / 1e6
  }
}

/** Makes the stopwatches of those requests that are measured, the first one included. @internal */
export const sampler = (clock: Clock.Clock): () => RoutingTime | undefined => {
  let requests = 0
  return () => requests++ % sampleEvery === 0 ? new RoutingTime(clock) : undefined
}
