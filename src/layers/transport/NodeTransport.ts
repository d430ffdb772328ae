/**
 * The transport for Node and Deno. undici's dispatch callbacks write to the sink directly: a proxy over `Stream` and
 * `HttpClient` of `effect` reached a quarter of the requests a second.
 *
 * @since 0.1.0
 */
import { Effect, Layer } from "effect"
import { type Dispatcher, Pool } from "undici"
import { Readable } from "node:stream"
import type { Backend } from "../../services/Fleet.ts"
import { type ByteSink, type Call, Transport, TransportError, type Upstream } from "../../services/Transport.ts"
import { reasonOf } from "./failures.ts"
import { SweptMap } from "../../support/sweptMap.ts"

/** @category models @since 0.1.0 */
export interface Options {
  /** Longest wait for a connection, in milliseconds. Defaults to `5000`. */
  readonly connectMillis?: number | undefined
  /** How long an idle connection stays open, in milliseconds. Defaults to `60000`. */
  readonly idleMillis?: number | undefined
  /** Most connections to one backend. Defaults to no limit: the leases already limit them. */
  readonly connectionsMax?: number | undefined
}

/** The reason of every abort. One is enough: nothing reads its stack trace. */
const aborted = new Error("aborted by the router")

const latin1 = (value: Buffer | string): string => typeof value === "string" ? value : value.toString("latin1")

const strings = (raw: ReadonlyArray<Buffer | string>): Array<string> => {
  const headers = new Array<string>(raw.length)
  for (let i = 0; i < raw.length; i++) headers[i] = latin1(raw[i]!)
  return headers
}

/** Bytes. A larger body is sent in slices: that shows whether a backend still takes bytes of it. */
const wholeMax = 256 * 1024
const sliceBytes = 64 * 1024

function* slices(body: Uint8Array) {
  for (let at = 0; at < body.length; at += sliceBytes) yield body.subarray(at, at + sliceBytes)
}

/**
 * One call, as undici's dispatch handler. It drops its references when it ends, since undici can keep the handler for
 * longer.
 */
class NodeCall implements Dispatcher.DispatchHandler, Upstream {
  private readonly backend: string
  private sink: ByteSink | undefined
  private controller: Dispatcher.DispatchController | undefined = undefined
  private paused = false
  /** Whether there was a connection. Before that, the backend got nothing. */
  private started = false
  /** Bytes of the body that no connection has taken yet. */
  private left: number

  constructor(backend: string, sink: ByteSink, bytes: number) {
    this.backend = backend
    this.sink = sink
    this.left = bytes
  }

  unsent(): number {
    return this.left
  }

  pause(): void {
    this.paused = true
    this.controller?.pause()
  }

  resume(): void {
    this.paused = false
    this.controller?.resume()
  }

  abort(): void {
    if (this.sink === undefined) return
    this.sink = undefined
    const controller = this.controller
    this.controller = undefined
    controller?.abort(aborted)
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    if (this.sink === undefined) return controller.abort(aborted)
    this.started = true
    this.controller = controller
    if (this.paused) controller.pause()
  }

  onBodySent(chunk: Uint8Array): void {
    this.left -= chunk.length
  }

  onResponseStart(controller: Dispatcher.DispatchController, status: number): void {
    // Interim answers (1xx) are not for the client.
    if (status < 200) return
    this.sink?.head(status, strings(controller.rawHeaders as ReadonlyArray<Buffer | string>))
  }

  onResponseData(_controller: Dispatcher.DispatchController, chunk: Buffer): void {
    this.sink?.data(chunk)
  }

  onResponseEnd(): void {
    this.take()?.end()
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    const reason = reasonOf(error, this.started)
    this.take()?.fail(new TransportError({ reason, backend: this.backend, description: error.message }))
  }

  /** The sink, for its last event. */
  private take(): ByteSink | undefined {
    const sink = this.sink
    this.sink = undefined
    this.controller = undefined
    return sink
  }
}

interface Origin {
  readonly pool: Pool
  /** The path of the backend's URL, without a slash at its end. */
  readonly prefix: string
}

const make = (options: Options) => {
  const origins = new SweptMap<Origin>({
    sweepAt: 64,
    isIdle: ({ pool }) => pool.stats.size === 0,
    dropped: ({ pool }) => void pool.close(),
  })
  const open = (url: string): Origin => {
    const { origin, pathname } = new URL(url)
    const pool = new Pool(origin, {
      connections: options.connectionsMax ?? null,
      connect: { timeout: options.connectMillis ?? 5000 },
      keepAliveTimeout: options.idleMillis ?? 60_000,
      // The relay watches time. Without pipelining, no call waits behind the generation of another one.
      headersTimeout: 0,
      bodyTimeout: 0,
      pipelining: 1,
      allowH2: false,
    })
    const made = { pool, prefix: pathname.replace(/\/+$/, "") }
    origins.set(url, made)
    return made
  }
  const send = (backend: Backend, call: Call, to: ByteSink): void => {
    const { pool, prefix } = origins.get(backend.url) ?? open(backend.url)
    const body = call.body ?? null
    const length = body === null ? 0 : body.length
    const sliced = body !== null && length > wholeMax
    const running = new NodeCall(backend.id, to, length)
    to.open(running)
    pool.dispatch({
      method: call.method,
      path: prefix === "" ? call.path : prefix + call.path,
      headers: sliced ? [...call.headers, "Content-Length", String(length)] : call.headers as Array<string>,
      body: sliced ? Readable.from(slices(body), { objectMode: false }) : body,
    }, running)
  }
  const close = Effect.promise(() => Promise.all([...origins.values()].map(({ pool }) => pool.destroy())))
  return { send, close }
}

/**
 * Has a pool of connections for each backend's URL, and closes them with the layer.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options?: Options): Layer.Layer<Transport> =>
  Layer.effect(
    Transport,
    Effect.map(
      Effect.acquireRelease(Effect.sync(() => make(options ?? {})), ({ close }) => close),
      ({ send }) => Transport.of({ send }),
    ),
  )
