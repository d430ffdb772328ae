/**
 * A reply that records.
 *
 * @since 0.1.0
 */
import type { Refusal } from "../services/Refusal.ts"
import type { ReplySink } from "../services/Reply.ts"
import type { TransportError, Upstream } from "../services/Transport.ts"

/** @category constructors @since 0.1.0 */
export const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)
/** @category accessors @since 0.1.0 */
export const text = (chunks: ReadonlyArray<Uint8Array>): string =>
  chunks.map((chunk) => new TextDecoder().decode(chunk)).join("")

/**
 * Records what a client would get. Throws where the order of the calls is not that of the contract.
 *
 * @category models
 * @since 0.1.0
 */
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
  /** How often the answer has ended, in any way. Exactly one is right. */
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
