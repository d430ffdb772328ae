/**
 * A byte sink that records, for transports.
 *
 * @since 0.1.0
 */
import { Effect } from "effect"
import type { ByteSink, TransportError, Upstream } from "../services/Transport.ts"
import { tracked } from "./outstanding.ts"
import { text } from "./replies.ts"

/**
 * Records what a transport tells it, and whether the order of the calls is that of the contract.
 *
 * @category models
 * @since 0.1.0
 */
export class RecordingSink implements ByteSink {
  upstream: Upstream | undefined
  /** `0` until the head came. */
  status = 0
  headers: ReadonlyArray<string> = []
  readonly chunks: Array<Uint8Array> = []
  error: TransportError | undefined
  /** Names of the calls in order: `open`, `head`, `data` once for a row of them, `end` or `fail`. */
  readonly events: Array<string> = []
  /** Calls in an order that the contract forbids, in words. */
  readonly wrong: Array<string> = []
  ended = false
  /** Called at the end of each call. */
  onEvent: (event: string, sink: RecordingSink) => void = () => {}
  private record(event: string) {
    if (this.ended) this.wrong.push(`${event} after the end`)
    if (this.events.at(-1) !== event || event !== "data") this.events.push(event)
    if (event === "end" || event === "fail") this.ended = true
    this.onEvent(event, this)
  }
  open(upstream: Upstream): void {
    this.upstream = upstream
    this.record("open")
  }
  head(status: number, rawHeaders: ReadonlyArray<string>): void {
    if (this.upstream === undefined) this.wrong.push("head before open")
    this.status = status
    this.headers = rawHeaders
    this.record("head")
  }
  data(chunk: Uint8Array): void {
    if (this.status === 0) this.wrong.push("data before head")
    this.chunks.push(chunk)
    this.record("data")
  }
  end(): void {
    this.record("end")
  }
  fail(error: TransportError): void {
    this.error = error
    this.record("fail")
  }
  get body(): string {
    return text(this.chunks)
  }
}

/**
 * Waits until a condition holds, at most 20 seconds of real time. Then it dies, and says `what` it waited for. It is
 * for sockets only: with a test clock let time pass instead.
 *
 * @category running
 * @since 0.1.0
 */
export const until = (holds: () => boolean, what = "condition"): Effect.Effect<void> =>
  tracked(
    what,
    Effect.promise(async (signal) => {
      for (let i = 0; i < 2000 && !signal.aborted; i++) {
        if (holds()) return
        await new Promise((resolve) => setTimeout(resolve, 10))
      }
      throw new Error(`timed out waiting: ${what}`)
    }),
  )
