/**
 * One request and its answer, the same for a simulated server behind a transport and behind a socket.
 *
 * @since 0.1.0
 */
import { Effect } from "effect"
import type { TransportReason, Upstream } from "../../services/Transport.ts"
import { rfc3339 } from "../go/time.ts"
import type { Dress } from "./dress.ts"

/**
 * A request as it reaches the server.
 *
 * @category models
 * @since 0.1.0
 */
export interface SimulatedRequest {
  readonly method: string
  /** Path and query. */
  readonly path: string
  /** Alternating names and values. */
  readonly headers: ReadonlyArray<string>
  readonly body: Uint8Array | undefined
}

/**
 * Where the answer goes. It is a `ByteSink` that does not need the name of the backend.
 *
 * @category models
 * @since 0.1.0
 */
export interface AnswerSink {
  open(upstream: Upstream): void
  head(status: number, rawHeaders: ReadonlyArray<string>): void
  data(chunk: Uint8Array): void
  end(): void
  fail(reason: TransportReason, description: string): void
  /** Sends an interim head (1xx). Absent where there is no connection to send it on. */
  interim?(status: number): void
}

/**
 * The record of a call.
 *
 * @category models
 * @since 0.1.0
 */
export interface CallRecord {
  readonly method: string
  readonly path: string
  readonly headers: ReadonlyArray<string>
  readonly body: Uint8Array | undefined
  /** Milliseconds since 1970. */
  readonly at: number
  /** `undefined` until the head is sent. */
  status: number | undefined
  /** Tokens sent; for an answer in one piece, tokens generated. */
  tokens: number
  /** `running`, then how the call ended: `done`, `aborted` by the client, or `failed` with a broken connection. */
  state: "running" | "done" | "aborted" | "failed"
}

const encoder = new TextEncoder()

/** Up to this many bytes Go sends `Content-Length`; longer answers are sent in chunks. */
const buffered = 2048

/**
 * Writes one answer: heads as Go writes them, nothing after an abort. It also tells whether the client reads.
 *
 * @category models
 * @since 0.1.0
 */
export class Reply implements Upstream {
  readonly record: CallRecord
  readonly request: SimulatedRequest
  /** Names and values that every answer carries, in alphabetical order before `Content-Type`. */
  readonly extra: Array<string> = []
  headSent = false
  /** Called once, when the call is over, whichever side ended it. */
  onClose: () => unknown = () => {}
  readonly #sink: AnswerSink
  readonly #now: () => number
  readonly #dress: Dress | undefined
  #paused = false
  #wake: (() => void) | undefined = undefined

  constructor(sink: AnswerSink, request: SimulatedRequest, now: () => number, dress?: Dress) {
    this.#sink = sink
    this.#dress = dress
    this.#now = now
    this.request = request
    this.record = { ...request, at: now(), status: undefined, tokens: 0, state: "running" }
  }

  get closed(): boolean {
    return this.record.state !== "running"
  }

  get paused(): boolean {
    return this.#paused
  }

  pause(): void {
    this.#paused = true
  }

  resume(): void {
    this.#paused = false
    const wake = this.#wake
    this.#wake = undefined
    wake?.()
  }

  abort(): void {
    this.#close("aborted")
  }

  /** Waits until the client reads again. */
  readonly resumed: Effect.Effect<void> = Effect.callback<void>((resume) => {
    if (this.#paused) this.#wake = () => resume(Effect.void)
    else resume(Effect.void)
  })

  open(): void {
    this.#sink.open(this)
  }

  /** Sends interim heads, before the answer. */
  interim(statuses: ReadonlyArray<number>): void {
    if (!this.closed && !this.headSent) { for (const status of statuses) this.#sink.interim?.(status) }
  }

  /** Sends a whole answer. */
  whole(
    status: number,
    contentType: string | undefined,
    body: string | Uint8Array,
    headers: ReadonlyArray<string> = [],
  ): void {
    const plain = typeof body === "string" ? encoder.encode(body) : body
    const bytes = this.#dress?.whole(plain) ?? plain
    const head = this.request.method === "HEAD"
    const measured = head ? [] : bytes.length <= buffered ? ["Content-Length", String(bytes.length)] : chunked
    this.#head(status, contentType, headers, measured)
    if (!head && bytes.length > 0 && !this.closed) this.#sink.data(bytes)
    if (this.#close("done")) this.#sink.end()
  }

  /** Sends a client to another path, as Go's `http.Redirect` does: only `GET` gets a body. */
  redirect(status: 301 | 307, location: string): void {
    const text = status === 301 ? "Moved Permanently" : "Temporary Redirect"
    const reads = this.request.method === "GET" || this.request.method === "HEAD"
    const body = this.request.method === "GET" ? `<a href="${location}">${text}</a>.\n\n` : ""
    this.whole(status, reads ? "text/html; charset=utf-8" : undefined, body, ["Location", location])
  }

  /** Sends the head of an answer that comes in pieces. */
  begin(contentType: string, headers: ReadonlyArray<string> = []): void {
    this.#head(200, contentType, headers, chunked)
  }

  write(chunk: string | Uint8Array): void {
    if (this.closed) return
    const bytes = typeof chunk === "string" ? encoder.encode(chunk) : chunk
    this.#sink.data(this.#dress?.piece(bytes) ?? bytes)
  }

  finish(): void {
    const last = this.closed ? undefined : this.#dress?.last()
    if (last !== undefined) this.#sink.data(last)
    if (this.#close("done")) this.#sink.end()
  }

  /** Breaks the connection. */
  fail(reason: TransportReason, description: string): void {
    if (this.#close("failed")) this.#sink.fail(reason, description)
  }

  #head(
    status: number,
    contentType: string | undefined,
    headers: ReadonlyArray<string>,
    length: ReadonlyArray<string>,
  ): void {
    if (this.closed || this.headSent) return
    this.headSent = true
    this.record.status = status
    const type = contentType === undefined ? [] : ["Content-Type", contentType]
    const date = ["Date", new Date(this.#now()).toUTCString()]
    this.#sink.head(status, [...this.extra, ...headers, ...this.#dress?.headers ?? [], ...type, ...date, ...length])
  }

  #close(state: CallRecord["state"]): boolean {
    if (this.closed) return false
    this.record.state = state
    this.onClose()
    return true
  }

  /** `created_at` for the current time. */
  get stamp(): string {
    return rfc3339(this.#now())
  }
}

const chunked = ["Transfer-Encoding", "chunked"]
