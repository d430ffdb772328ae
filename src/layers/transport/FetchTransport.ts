/**
 * A transport over the web standard `fetch`, for hosts that have nothing else. Where undici or sockets can be had, `NodeTransport` is several times faster.
 *
 * @since 0.1.0
 */
import { Effect, Layer } from "effect"
import type { Backend } from "../../services/Fleet.ts"
import { type ByteSink, type Call, Transport, TransportError, type Upstream } from "../../services/Transport.ts"
import { reasonOf } from "./failures.ts"

/** @category models @since 0.1.0 */
export interface Options {
  /** Defaults to the global one. */
  readonly fetch?: typeof globalThis.fetch | undefined
}

/** `fetch` has decoded what says so, and then neither the encoding nor the length is true any more. */
const rawHeaders = (headers: Headers): Array<string> => {
  const raw: Array<string> = []
  const decoded = headers.has("content-encoding")
  headers.forEach((value, name) => {
    if (decoded && (name === "content-encoding" || name === "content-length")) return
    raw.push(name, value)
  })
  return raw
}

const headersOf = (call: Call): Array<[string, string]> => {
  const pairs: Array<[string, string]> = []
  for (let i = 0; i + 1 < call.headers.length; i += 2) pairs.push([call.headers[i]!, call.headers[i + 1]!])
  return pairs
}

class Exchange implements Upstream {
  private readonly backend: Backend
  private readonly aborter = new AbortController()
  private sink: ByteSink | undefined
  private reader: ReadableStreamDefaultReader<Uint8Array> | undefined = undefined
  private paused = false
  private reading = false
  /** Whether an answer has begun: a failure from then on is the connection's. */
  private answered = false

  constructor(backend: Backend, sink: ByteSink) {
    this.backend = backend
    this.sink = sink
  }

  send(fetch: typeof globalThis.fetch, call: Call): void {
    this.sink?.open(this)
    fetch(this.backend.url + call.path, {
      method: call.method,
      headers: headersOf(call),
      body: call.body === undefined ? null : call.body as Uint8Array<ArrayBuffer>,
      redirect: "manual",
      signal: this.aborter.signal,
    }).then((response) => this.begin(response)).catch((error) => this.fail(error))
  }

  pause(): void {
    this.paused = true
  }

  resume(): void {
    if (!this.paused) return
    this.paused = false
    this.read()
  }

  abort(): void {
    if (this.sink === undefined) return
    this.sink = undefined
    this.reader = undefined
    this.aborter.abort()
  }

  private begin(response: Response): void {
    if (this.sink === undefined) return
    this.answered = true
    this.sink.head(response.status, rawHeaders(response.headers))
    this.reader = response.body?.getReader()
    if (this.reader === undefined) this.take()?.end()
    else this.read()
  }

  /** One chunk at a time, and none while the sink is full. */
  private read(): void {
    if (this.reading || this.paused || this.reader === undefined) return
    this.reading = true
    this.reader.read().then((result) => {
      this.reading = false
      if (result.done) return this.take()?.end()
      this.sink?.data(result.value)
      this.read()
    }).catch((error) => this.fail(error))
  }

  private fail(error: unknown): void {
    const description = error instanceof Error ? error.message : String(error)
    const reason = this.answered ? "Reset" : reasonOf(error, true)
    this.take()?.fail(new TransportError({ reason, backend: this.backend.id, description }))
  }

  private take(): ByteSink | undefined {
    const sink = this.sink
    this.sink = undefined
    this.reader = undefined
    return sink
  }
}

/**
 * One `fetch` for each call; the host keeps the connections.
 *
 * **Gotchas**
 *
 * The host's own limits apply: Node's `fetch` gives up after 10 seconds without a connection and 300 seconds without headers. `fetch` does not tell when it
 * has connected or sent a body, so there are no such limits here: a backend that does not let itself be connected to meets the relay's first-byte limit.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options?: Options): Layer.Layer<Transport> =>
  Layer.effect(
    Transport,
    Effect.sync(() => {
      const fetch = options?.fetch ?? globalThis.fetch
      return Transport.of({ send: (backend, call, to) => new Exchange(backend, to).send(fetch, call) })
    }),
  )
