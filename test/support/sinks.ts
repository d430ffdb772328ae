/** A transport that the test plays itself, and the reply that records. */
import { Layer } from "effect"
import { bytes } from "../../src/testing/replies.ts"
import type { Backend } from "../../src/services/Fleet.ts"
import { type ByteSink, type Call, Transport, TransportError, type Upstream } from "../../src/services/Transport.ts"

export * from "../../src/testing/replies.ts"

/** One call of that transport. */
export class PlayedCall implements Upstream {
  readonly backend: Backend
  readonly call: Call
  readonly to: ByteSink
  paused = false
  aborted = false
  /** Bytes of the call's body that the backend has not read yet. */
  left = 0
  constructor(backend: Backend, call: Call, to: ByteSink) {
    this.backend = backend
    this.call = call
    this.to = to
  }
  pause(): void {
    this.paused = true
  }
  resume(): void {
    this.paused = false
  }
  abort(): void {
    this.aborted = true
  }
  unsent(): number {
    return this.left
  }
  answer(status: number, ...chunks: ReadonlyArray<string>): this {
    this.to.head(status, ["content-type", "application/json"])
    for (const chunk of chunks) this.to.data(bytes(chunk))
    return this
  }
  end(): void {
    if (!this.aborted) this.to.end()
  }
  fail(reason: TransportError["reason"]): void {
    if (!this.aborted) this.to.fail(new TransportError({ reason, backend: this.backend.id, description: reason }))
  }
}

/** `calls` fills up as the relay sends. */
export const playedTransport = (calls: Array<PlayedCall>): Layer.Layer<Transport> =>
  Layer.succeed(Transport, {
    send: (backend, call, to) => {
      const played = new PlayedCall(backend, call, to)
      calls.push(played)
      to.open(played)
    },
  })
