/**
 * The common part of the servers' replies: when the head is sent, where records end, and how an error is written.
 *
 * @since 0.1.0
 */
import type { Refusal } from "../../services/Refusal.ts"
import { refuse } from "../../services/Refusal.ts"
import type { ReplySink } from "../../services/Reply.ts"
import { type Endpoint, header, type QueuePlace } from "../../services/RoutedRequest.ts"
import type { TransportError, Upstream } from "../../services/Transport.ts"
import * as ErrorShapes from "../../wire/errorShapes.ts"
import { returnHeaders } from "../../wire/headers.ts"
import { textOf } from "../../wire/json.ts"
import { heartbeat } from "../../wire/heartbeat.ts"
import { encodingOf } from "../../wire/contentDecoding.ts"
import { type Framing, framing, isStreamType, RecordEdge, streamType } from "../../wire/streamFraming.ts"

const newline = 0x0a
const endOfRecord = { ndjson: new Uint8Array([newline]), sse: new Uint8Array([newline, newline]) }

/** Bytes kept of an error answer that comes after heartbeats. It becomes an error record. */
const errorBytesMax = 64 * 1024

const none: ReadonlyArray<string> = []
const brokenOff: Refusal = refuse("BackendFailed", "the backend broke off the answer")

/**
 * A reply without the part that writes to the client. The head is held back until the first bytes of the body come, so
 * that both leave in one packet.
 *
 * @category models
 * @since 0.1.0
 */
export abstract class ReplyBase implements ReplySink {
  readonly id: string
  readonly endpoint: Endpoint
  committed = false
  bytes = 0
  /** Whether the answer has ended or the client has left. */
  closed = false
  /** Whether the client reads more slowly than bytes come. */
  blocked = false
  private upstream: Upstream | undefined = undefined
  private status = 0
  private raw: ReadonlyArray<string> = none
  /** llamero's own headers. */
  private extra: ReadonlyArray<string>
  /** Whether the answer comes in records. */
  private streams = false
  /** The model's name, for heartbeats. */
  private model = ""
  /** Whether a heartbeat has committed the head before any backend answered. */
  private early = false
  /** The chunks of an error answer that comes after heartbeats. */
  private errors: Array<Uint8Array> | undefined = undefined
  private errorBytes = 0
  /** Whether a stream was asked for, but nothing can be added to the answer. */
  private sealed = false
  private readonly edge = new RecordEdge()

  constructor(endpoint: Endpoint, id: string, headers: ReadonlyArray<string>) {
    this.endpoint = endpoint
    this.id = id
    this.extra = headers.length === 0 ? ["X-Request-Id", id] : ["X-Request-Id", id, ...headers]
  }

  /** Sends the status line and headers, or prepares them to leave with the first bytes. */
  protected abstract start(status: number, headers: Array<string>): void
  /**
   * Writes a chunk. Returns whether the client takes more; if not, `unblock` must be called later. An implementation
   * that learns it later calls `block`.
   */
  protected abstract write(chunk: Uint8Array): boolean
  protected abstract finish(): void
  /** Breaks the connection: only that tells that a body with a declared length, or without records, is cut. */
  protected abstract destroy(): void
  /** The time by the router's clock, in milliseconds. */
  protected abstract now(): number

  /** Tells the reply what is known once the body was read. Before that, the reply does not stream. */
  describe(model: string, streams: boolean): void {
    this.model = model
    this.streams = streams
  }

  annotate(headers: ReadonlyArray<string>): void {
    if (headers.length > 0) this.extra = [...this.extra, ...headers]
  }

  open(upstream: Upstream): void {
    if (this.closed) return upstream.abort()
    this.upstream = upstream
    if (this.blocked) upstream.pause()
  }

  head(status: number, rawHeaders: ReadonlyArray<string>): void {
    this.errors = this.early && status >= 400 ? [] : undefined
    this.errorBytes = 0
    this.status = status
    this.raw = rawHeaders
  }

  data(chunk: Uint8Array): void {
    const length = chunk.length
    if (this.closed || length === 0) return
    if (this.errors !== undefined) return this.collect(chunk)
    if (!this.committed) this.commit(this.status, returnHeaders(this.raw))
    this.send(chunk)
  }

  end(): void {
    if (this.closed) return
    if (this.errors !== undefined) {
      this.send(ErrorShapes.backendErrorRecord(this.endpoint, this.status, textOf(this.errors), this.id))
    } else if (!this.committed) this.commit(this.status, returnHeaders(this.raw))
    this.close()
  }

  fail(_error: TransportError): void {
    // An error record cannot reach a client that does not read, and its socket must be freed.
    if (this.blocked) return this.cut()
    this.refuse(brokenOff)
  }

  refuse(why: Refusal): void {
    if (this.closed) return
    if (!this.committed) {
      const answer = ErrorShapes.refusal(this.endpoint, why, this.id)
      this.commit(answer.status, [...answer.headers])
      this.send(answer.body)
      return this.close()
    }
    // Sealed, or without records, only a broken connection tells the client that the answer is cut.
    if (!this.streams || this.sealed) return this.cut()
    if (this.bytes > 0 && !this.edge.isBetween(framing(this.endpoint))) this.write(endOfRecord[framing(this.endpoint)])
    this.send(ErrorShapes.errorRecord(this.endpoint, why, this.id))
    this.close()
  }

  heartbeat(place?: QueuePlace): void {
    if (this.closed || this.blocked || !this.streams || this.errors !== undefined) return
    if (!this.committed) {
      if (this.status >= 300) return
      this.early = this.status === 0
      this.commit(
        200,
        this.early ? ["Content-Type", streamType(this.endpoint)] : returnHeaders(this.raw),
      )
    }
    if (this.sealed || !this.edge.isBetween(framing(this.endpoint))) return
    const sign = heartbeat(this.endpoint, this.model, this.now(), place)
    if (sign !== undefined) this.push(sign)
  }

  /** Drops everything that still comes. Called when the client has left. */
  leave(): void {
    this.closed = true
    this.forget()
  }

  /** Lets the backend go on. Called when the client takes bytes again. */
  unblock(): void {
    if (!this.blocked) return
    this.blocked = false
    this.upstream?.resume()
  }

  private commit(status: number, raw: Array<string>): void {
    this.committed = true
    const headers = this.streams && status < 300 ? unmeasured(raw) : raw
    this.sealed = this.streams && isSealed(headers, framing(this.endpoint))
    const extra = this.extra
    for (let i = 0; i < extra.length; i++) headers.push(extra[i]!)
    this.start(status, headers)
    this.raw = none
  }

  private send(chunk: Uint8Array): void {
    this.bytes += chunk.length
    this.edge.pass(chunk)
    this.push(chunk)
  }

  private push(chunk: Uint8Array): void {
    if (!this.write(chunk)) this.block()
  }

  /** Makes the backend wait. Called when the client does not take the bytes that were written. */
  protected block(): void {
    if (this.blocked) return
    this.blocked = true
    this.upstream?.pause()
  }

  private collect(chunk: Uint8Array): void {
    this.errorBytes += chunk.length
    if (this.errorBytes <= errorBytesMax) this.errors?.push(chunk)
  }

  private close(): void {
    this.closed = true
    this.finish()
    this.forget()
  }

  private cut(): void {
    if (this.closed) return
    this.closed = true
    this.destroy()
    this.forget()
  }

  /** Drops references: the socket, which lives longer than the request, would keep the objects alive. */
  private forget(): void {
    this.upstream = undefined
    this.raw = none
    this.errors = undefined
  }
}

/** The headers of a stream without its length, which an error record at its end would make wrong. */
const unmeasured = (headers: Array<string>): Array<string> => {
  const isMeasuredStream = header(headers, "content-length") !== undefined && encodingOf(headers) === undefined &&
    isStreamType(header(headers, "content-type"))
  if (!isMeasuredStream) return headers
  return headers.flatMap((name, i) =>
    i % 2 === 1 || name.toLowerCase() === "content-length" ? [] : [name, headers[i + 1]!]
  )
}

/** Whether records cannot follow the bytes of an answer: it has a length, it is encoded, or it is no event stream. */
const isSealed = (headers: ReadonlyArray<string>, framed: Framing): boolean =>
  header(headers, "content-length") !== undefined || encodingOf(headers) !== undefined ||
  (framed === "sse" && /^\s*application\/json\b/i.test(header(headers, "content-type") ?? ""))
