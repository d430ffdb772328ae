/**
 * A transport over the web standard `fetch`, for hosts that have nothing else. `NodeTransport` is several times faster;
 * use it on Node and on Deno.
 *
 * @since 0.1.0
 */
import { Effect, Layer } from "effect"
import { withAccess } from "../../services/BackendAccess.ts"
import type { Backend } from "../../services/Fleet.ts"
import { type ByteSink, type Call, Transport, TransportError, type Upstream } from "../../services/Transport.ts"
import { reasonOf } from "./failures.ts"

/** @category models @since 0.1.0 */
export interface Options {
  /** Defaults to the global `fetch`. */
  readonly fetch?: typeof globalThis.fetch | undefined
}

/** Names and values in turn. `fetch` has decoded a compressed body, so its encoding and length are no longer true. */
const rawHeaders = (headers: Headers): Array<string> => {
  const raw: Array<string> = []
  const decoded = headers.has("content-encoding")
  headers.forEach((value, name) => {
    if (decoded && (name === "content-encoding" || name === "content-length")) return
    raw.push(name, value)
  })
  return raw
}

const pairsOf = (headers: ReadonlyArray<string>): Array<[string, string]> => {
  const pairs: Array<[string, string]> = []
  for (let i = 0; i + 1 < headers.length; i += 2) pairs.push([headers[i]!, headers[i + 1]!])
  return pairs
}

/** The bytes that came from one backend, counted while calls to it run. */
interface Received {
  bytes: number
  running: number
}

/** One call through `fetch`. */
class FetchCall implements Upstream {
  private readonly backend: Backend
  private readonly received: Received
  /** Called once, when the call is over. */
  private readonly over: () => void
  private readonly aborter = new AbortController()
  private sink: ByteSink | undefined
  private reader: ReadableStreamDefaultReader<Uint8Array> | undefined = undefined
  private paused = false
  private reading = false
  /** Whether the answer has begun. A failure after that means that the connection broke. */
  private answered = false

  constructor(backend: Backend, sink: ByteSink, received: Received, over: () => void) {
    this.backend = backend
    this.sink = sink
    this.received = received
    this.over = over
  }

  send(fetch: typeof globalThis.fetch, call: Call): void {
    this.sink?.open(this)
    fetch(this.backend.url + call.path, {
      method: call.method,
      headers: pairsOf(withAccess(call.headers, this.backend.access)),
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
    if (this.take() !== undefined) this.aborter.abort()
  }

  private begin(response: Response): void {
    if (this.sink === undefined) return
    this.answered = true
    this.sink.head(response.status, rawHeaders(response.headers))
    this.reader = response.body?.getReader()
    if (this.reader === undefined) this.take()?.end()
    else this.read()
  }

  /** Reads one chunk at a time, and none while the sink is full. */
  private read(): void {
    if (this.reading || this.paused || this.reader === undefined) return
    this.reading = true
    this.reader.read().then((result) => {
      this.reading = false
      if (result.done) return this.take()?.end()
      this.received.bytes += result.value.length
      this.sink?.data(result.value)
      this.read()
    }).catch((error) => this.fail(error))
  }

  private fail(error: unknown): void {
    const description = error instanceof Error ? error.message : String(error)
    const reason = this.answered ? "Reset" : reasonOf(error, true)
    this.take()?.fail(new TransportError({ reason, backend: this.backend.id, description }))
  }

  /** The sink, for its last event. */
  private take(): ByteSink | undefined {
    const sink = this.sink
    this.sink = undefined
    this.reader = undefined
    if (sink !== undefined) this.over()
    return sink
  }
}

/**
 * Makes one `fetch` for each call. The host manages the connections.
 *
 * **Gotchas**
 *
 * - The host's own limits apply: Node's `fetch` fails after 10 seconds without a connection, after 300 seconds without
 *   headers and for a head of more than 16 KiB. `fetch` does not tell when it has connected or has sent a body, so this
 *   layer cannot limit those times. A backend that cannot be connected to fails by the relay's first-byte limit.
 * - The host decides what happens on a pooled connection that the backend has closed. Deno's `fetch` sends the call
 *   again; Node's `fetch` fails, which counts as a failure of the backend. The same with a `100 Continue` that nobody
 *   asked for: Deno's drops it, Node's fails. `NodeTransport` has neither fault.
 * - The host knows which authorities may sign the certificate of a backend; a backend's own `ca` has no effect. Node
 *   reads more from the file in `NODE_EXTRA_CA_CERTS`, Deno from the file in `DENO_CERT`.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options?: Options): Layer.Layer<Transport> =>
  Layer.effect(
    Transport,
    Effect.sync(() => {
      const fetch = options?.fetch ?? globalThis.fetch
      const counts = new Map<string, Received>()
      return Transport.of({
        send: (backend, call, to) => {
          const { url } = backend
          const received = counts.get(url) ?? { bytes: 0, running: 0 }
          counts.set(url, received)
          received.running++
          // Forgotten when no call runs: backends come and go.
          const over = () => --received.running === 0 && counts.get(url) === received && counts.delete(url)
          new FetchCall(backend, to, received, over).send(fetch, call)
        },
        received: ({ url }) => counts.get(url)?.bytes ?? 0,
      })
    }),
  )
