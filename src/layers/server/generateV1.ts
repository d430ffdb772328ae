/**
 * llamero's own endpoint, `POST /api/v1/generate`: translates the answers of Ollama's `/api/generate`.
 *
 * **Details**
 *
 * In one piece: `{"response":"…","total_duration_ms":7.3,"eval_count":3,"load_duration_ms":1.1}`. An answer that Ollama
 * itself says is not done (a model that repeated itself) has `"done":false` besides.
 *
 * As a stream of server-sent events: each piece of text is `data: {"response":"…","done":false}`. The last event is
 * `data: {"response":"","done":true,"done_reason":"stop",…}` with the same three figures. Heartbeats are comments. A
 * failure is `data: {"error":"…"}`, which ends the stream.
 *
 * @since 0.1.0
 */
import { Option } from "effect"
import type { Refusal } from "../../services/Refusal.ts"
import { refuse } from "../../services/Refusal.ts"
import type { ReplySink } from "../../services/Reply.ts"
import type { QueuePlace } from "../../services/RoutedRequest.ts"
import type { TransportError, Upstream } from "../../services/Transport.ts"
import { parse, textOf } from "../../wire/json.ts"

const newline = 0x0a
const carriageReturn = /\r+/
const encoder = new TextEncoder()

/** Bytes. Ollama's own limit for a line; a longer one cannot be an answer of Ollama. */
const lineMax = 8 * 1024 * 1024

interface Chunk {
  readonly response?: unknown
  readonly done?: unknown
  readonly done_reason?: unknown
  readonly error?: unknown
  readonly total_duration?: unknown
  readonly load_duration?: unknown
  readonly eval_count?: unknown
}

const chunkOf = (json: string): Chunk | undefined => {
  const value = Option.getOrUndefined(parse(json))
  return typeof value === "object" && value !== null ? value : undefined
}

const number = (value: unknown): number => typeof value === "number" ? value : 0
const textIn = (chunk: Chunk): string => typeof chunk.response === "string" ? chunk.response : ""

/** Ollama gives times in nanoseconds and leaves zeros out. */
const figures = (chunk: Chunk) => ({
  total_duration_ms: number(chunk.total_duration) / 1e6,
  eval_count: number(chunk.eval_count),
  load_duration_ms: number(chunk.load_duration) / 1e6,
})

const errorIn = ({ error }: Chunk): string | undefined =>
  typeof error === "string" ? error === "" ? undefined : error : error ? JSON.stringify(error) : undefined

const eventOf = (chunk: Chunk): unknown => {
  const error = errorIn(chunk)
  if (error !== undefined) return { error }
  const event = { response: textIn(chunk), done: chunk.done === true }
  return chunk.done === true ? { ...event, done_reason: chunk.done_reason, ...figures(chunk) } : event
}

const unreadable: Refusal = refuse("BackendFailed", "the backend's answer could not be read")

/**
 * Translates the answer of a backend's `/api/generate` and writes it to the reply that it wraps.
 *
 * @category constructors
 * @since 0.1.0
 */
export class GenerateV1Reply implements ReplySink {
  private readonly reply: ReplySink
  private readonly streams: boolean
  /** The pieces of the line that has not ended yet. */
  private pieces: Array<Uint8Array> = []
  private pending = 0
  private status = 0
  private headers: ReadonlyArray<string> = []
  private upstream: Upstream | undefined = undefined

  constructor(reply: ReplySink, streams: boolean) {
    this.reply = reply
    this.streams = streams
  }

  get committed(): boolean {
    return this.reply.committed
  }

  get bytes(): number {
    return this.reply.bytes
  }

  annotate(headers: ReadonlyArray<string>): void {
    this.reply.annotate(headers)
  }

  open(upstream: Upstream): void {
    this.pieces = []
    this.pending = 0
    this.upstream = upstream
    this.reply.open(upstream)
  }

  head(status: number, rawHeaders: ReadonlyArray<string>): void {
    this.status = status
    this.headers = rawHeaders
    // Error bodies are the same in both dialects.
    if (status !== 200) return this.reply.head(status, rawHeaders)
    if (this.streams) this.reply.head(status, this.withType("text/event-stream"))
  }

  data(chunk: Uint8Array): void {
    if (this.status !== 200) return this.reply.data(chunk)
    if (!this.streams) return this.keep(chunk)
    let from = 0
    for (let end = chunk.indexOf(newline); end >= 0; end = chunk.indexOf(newline, from)) {
      this.keep(chunk.subarray(from, end))
      this.line()
      from = end + 1
    }
    if (from < chunk.length) this.keep(chunk.subarray(from))
  }

  end(): void {
    if (this.status !== 200) return this.reply.end()
    if (this.streams) {
      this.line()
      return this.reply.end()
    }
    const chunk = chunkOf(textOf(this.pieces))
    const error = chunk === undefined ? undefined : errorIn(chunk)
    if (error !== undefined) return this.reply.refuse(refuse("BackendFailed", error))
    if (typeof chunk?.response !== "string") return this.reply.refuse(unreadable)
    const answer = { response: chunk.response, ...chunk.done === true ? {} : { done: false }, ...figures(chunk) }
    const body = encoder.encode(JSON.stringify(answer))
    this.reply.head(200, [...this.withType("application/json; charset=utf-8"), "Content-Length", String(body.length)])
    this.reply.data(body)
    this.reply.end()
  }

  fail(error: TransportError): void {
    this.reply.fail(error)
  }

  heartbeat(place?: QueuePlace): void {
    this.reply.heartbeat(place)
  }

  refuse(why: Refusal): void {
    this.reply.refuse(why)
  }

  private keep(chunk: Uint8Array): void {
    if (chunk.length === 0) return
    this.pieces.push(chunk)
    this.pending += chunk.length
    if (this.pending > lineMax) {
      this.pieces = []
      this.reply.refuse(unreadable)
      // The rest would be dropped, so the backend must stop generating it.
      this.upstream?.abort()
    }
  }

  private line(): void {
    if (this.pieces.length === 0) return
    const text = textOf(this.pieces)
    this.pieces = []
    this.pending = 0
    // JSON has no carriage return inside of a record, so it ends one.
    for (const record of text.split(carriageReturn)) {
      const chunk = chunkOf(record)
      if (chunk !== undefined) this.reply.data(encoder.encode(`data: ${JSON.stringify(eventOf(chunk))}\n\n`))
    }
  }

  private withType(type: string): Array<string> {
    const headers: Array<string> = []
    for (let i = 0; i + 1 < this.headers.length; i += 2) {
      const name = this.headers[i]!.toLowerCase()
      if (name !== "content-type" && name !== "content-length") headers.push(this.headers[i]!, this.headers[i + 1]!)
    }
    headers.push("Content-Type", type)
    return headers
  }
}
