/**
 * A byte sink that remembers, for transports.
 *
 * @since 0.1.0
 */
import { Effect } from "effect"
import type { ByteSink, TransportError, Upstream } from "../services/Transport.ts"
import { text } from "./replies.ts"

/** A sink that writes down what it hears, and checks the order that every transport has to keep. @category models @since 0.1.0 */
export class Heard implements ByteSink {
  upstream: Upstream | undefined
  status = 0
  headers: ReadonlyArray<string> = []
  readonly chunks: Array<Uint8Array> = []
  error: TransportError | undefined
  readonly events: Array<string> = []
  readonly wrong: Array<string> = []
  ended = false
  onEvent: (event: string, sink: Heard) => void = () => {}
  private hear(event: string) {
    if (this.ended) this.wrong.push(`${event} after the end`)
    if (this.events.at(-1) !== event || event !== "data") this.events.push(event)
    if (event === "end" || event === "fail") this.ended = true
    this.onEvent(event, this)
  }
  open(upstream: Upstream) {
    this.upstream = upstream
    this.hear("open")
  }
  head(status: number, rawHeaders: ReadonlyArray<string>) {
    if (this.upstream === undefined) this.wrong.push("head before open")
    this.status = status
    this.headers = rawHeaders
    this.hear("head")
  }
  data(chunk: Uint8Array) {
    if (this.status === 0) this.wrong.push("data before head")
    this.chunks.push(chunk)
    this.hear("data")
  }
  end() {
    this.hear("end")
  }
  fail(error: TransportError) {
    this.error = error
    this.hear("fail")
  }
  get body() {
    return text(this.chunks)
  }
}

/** Until something is so, at most 20 seconds; for sockets only. @category running @since 0.1.0 */
export const until = (is: () => boolean, what = "condition") =>
  Effect.promise(async () => {
    for (let i = 0; i < 2000; i++) {
      if (is()) return
      await new Promise((resolve) => setTimeout(resolve, 10))
    }
    throw new Error(`timed out waiting: ${what}`)
  })
