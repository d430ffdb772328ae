/** A reply that remembers, and a transport that is played by hand. */
import { Layer } from "effect"
import type { Backend } from "../../src/services/Fleet.ts"
import type { Refusal } from "../../src/services/Refusal.ts"
import type { ReplySink } from "../../src/services/Reply.ts"
import { type ByteSink, type Call, Transport, TransportError, type Upstream } from "../../src/services/Transport.ts"

export const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)
export const text = (chunks: ReadonlyArray<Uint8Array>): string =>
  chunks.map((chunk) => new TextDecoder().decode(chunk)).join("")

/** Keeps everything, and fails the test when the order of calls is not the contract's. */
export class RecordingReply implements ReplySink {
  committed = false
  upstream: Upstream | undefined = undefined
  status: number | undefined = undefined
  rawHeaders: ReadonlyArray<string> = []
  readonly chunks: Array<Uint8Array> = []
  readonly annotations: Array<string> = []
  readonly refusals: Array<Refusal> = []
  heartbeats = 0
  ended = 0
  failed: Array<TransportError> = []
  get bytes(): number {
    return this.chunks.reduce((sum, chunk) => sum + chunk.length, 0)
  }
  get text(): string {
    return text(this.chunks)
  }
  /** Every way an answer can end; exactly one of them is right. */
  get endings(): number {
    return this.ended + this.failed.length + this.refusals.length
  }
  open(upstream: Upstream): void {
    if (this.upstream !== undefined) throw new Error("opened twice")
    this.upstream = upstream
  }
  head(status: number, rawHeaders: ReadonlyArray<string>): void {
    if (this.status !== undefined) throw new Error("two heads")
    this.committed = true
    this.status = status
    this.rawHeaders = rawHeaders
  }
  data(chunk: Uint8Array): void {
    if (this.status === undefined) throw new Error("data before head")
    if (this.endings > 0) throw new Error("data after the end")
    this.chunks.push(chunk)
  }
  end(): void {
    if (this.endings > 0) throw new Error("ended twice")
    this.ended++
  }
  fail(error: TransportError): void {
    if (this.endings > 0) throw new Error("ended twice")
    this.failed.push(error)
  }
  heartbeat(): void {
    this.heartbeats++
  }
  refuse(why: Refusal): void {
    if (this.endings > 0) throw new Error("ended twice")
    this.refusals.push(why)
  }
  annotate(headers: ReadonlyArray<string>): void {
    this.annotations.push(...headers)
  }
}

/** One exchange of the hand-played transport. */
export class PlayedCall implements Upstream {
  readonly backend: Backend
  readonly call: Call
  readonly to: ByteSink
  paused = false
  aborted = false
  /** Bytes of the call's body that the backend has not taken. */
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
