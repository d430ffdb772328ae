/**
 * The transport for Node and Deno. undici's dispatch callbacks write to the sink directly: a proxy over `Stream` and
 * `HttpClient` of `effect` reached a quarter of the requests a second.
 *
 * @since 0.1.0
 */
import { Effect, Layer, Redacted } from "effect"
import "../../support/oldNode.ts"
import { buildConnector, Pool } from "undici"
import * as diagnostics from "node:diagnostics_channel"
import type { Socket } from "node:net"
import { Readable } from "node:stream"
import * as tls from "node:tls"
import { withAccess } from "../../services/BackendAccess.ts"
import type { Backend } from "../../services/Fleet.ts"
import { type ByteSink, type Call, Transport } from "../../services/Transport.ts"
import { SweptMap } from "../../support/sweptMap.ts"
import { Connection } from "./connection.ts"
import { connections, NodeCall, onSendHeaders } from "./nodeCall.ts"

/** @category models @since 0.1.0 */
export interface Options {
  /** Longest wait for a connection, in milliseconds. Defaults to `5000`. */
  readonly connectMillis?: number | undefined
  /** How long an idle connection stays open, in milliseconds. Defaults to `60000`. */
  readonly idleMillis?: number | undefined
  /** Most connections to one backend. Defaults to no limit: the leases already limit them. */
  readonly connectionsMax?: number | undefined
  /** Longest head of an answer, in bytes. Defaults to 1 MiB. */
  readonly headBytesMax?: number | undefined
  /** Certificates in PEM that those of all backends may be signed by, besides the usual ones. Defaults to none. */
  readonly ca?: string | undefined
}

/** Bytes. A larger body is sent in slices: that shows whether a backend still takes bytes of it. */
const wholeMax = 256 * 1024
const sliceBytes = 64 * 1024

function* slices(body: Uint8Array) {
  for (let at = 0; at < body.length; at += sliceBytes) yield body.subarray(at, at + sliceBytes)
}

const channel = "undici:client:sendHeaders"

/** The connections to one backend's URL. */
class Origin {
  /** The backend's own certificate authorities. */
  readonly ca: string | undefined
  /** The path of the backend's URL, without a slash at its end. */
  private readonly prefix: string
  private readonly pool: Pool
  /** For calls that are sent once more. Each of them gets a connection of its own. */
  private readonly fresh: Pool
  private readonly open = new Set<Connection>()
  /** Bytes that came on connections that are closed. */
  private closedBytes = 0

  constructor(url: string, ca: string | undefined, options: Options) {
    const { origin, pathname, protocol } = new URL(url)
    this.ca = ca
    this.prefix = pathname.replace(/\/+$/, "")
    const idleMillis = options.idleMillis ?? 60_000
    const headBytesMax = options.headBytesMax ?? 1024 * 1024
    const connector = buildConnector({
      timeout: options.connectMillis ?? 5000,
      allowH2: false,
      ...trusting(protocol, [options.ca, ca]),
    })
    const shared: Pool.Options = {
      connections: options.connectionsMax ?? null,
      connect: (target, done) =>
        connector(
          target,
          (...[error, socket]) => error === null ? done(null, this.opened(socket, headBytesMax)) : done(error, null),
        ),
      maxHeaderSize: headBytesMax,
      // A backend that announces a shorter time with `Keep-Alive: timeout=…` is believed.
      keepAliveTimeout: idleMillis,
      keepAliveMaxTimeout: idleMillis,
      // The relay watches time.
      headersTimeout: 0,
      bodyTimeout: 0,
      allowH2: false,
    }
    // Without pipelining, no call waits behind the generation of another one.
    this.pool = new Pool(origin, { ...shared, pipelining: 1 })
    this.fresh = new Pool(origin, { ...shared, pipelining: 0 })
  }

  send(backend: Backend, call: Call, to: ByteSink): void {
    const length = call.body?.length ?? 0
    const running = new NodeCall(backend.id, to, length, (again) => this.dispatch(this.fresh, backend, call, again))
    to.open(running)
    this.dispatch(this.pool, backend, call, running)
  }

  /** Sockets count their bytes themselves, so that no chunk costs anything here. */
  received(): number {
    let bytes = this.closedBytes
    for (const connection of this.open) bytes += connection.bytesRead
    return bytes
  }

  /** Whether no call is under way. */
  get isIdle(): boolean {
    return this.pool.stats.size === 0 && this.fresh.stats.size === 0
  }

  /** Closes each connection when its call has ended. */
  async finish(): Promise<void> {
    await Promise.all([this.pool.close(), this.fresh.close()])
  }

  async destroy(): Promise<void> {
    await Promise.all([this.pool.destroy(), this.fresh.destroy()])
  }

  private opened(socket: Socket, headBytesMax: number): Socket {
    const connection = new Connection(socket, headBytesMax)
    connection.watch()
    connections.set(socket, connection)
    this.open.add(connection)
    socket.once("close", () => {
      this.open.delete(connection)
      this.closedBytes += connection.bytesRead
    })
    return socket
  }

  private dispatch(pool: Pool, { access }: Backend, call: Call, running: NodeCall): void {
    const body = call.body ?? null
    const headers = access === undefined ? call.headers : withAccess(call.headers, access)
    const sliced = body !== null && body.length > wholeMax
    pool.dispatch({
      method: call.method,
      path: this.prefix === "" ? call.path : this.prefix + call.path,
      headers: sliced ? [...headers, "Content-Length", String(body.length)] : headers as Array<string>,
      body: sliced ? Readable.from(slices(body), { objectMode: false }) : body,
    }, running)
  }
}

/**
 * The TLS options for more authorities besides the usual ones; `ca` alone would replace those. The context is made
 * once: to read the usual ones takes a tenth of a second.
 */
const trusting = (protocol: string, ca: ReadonlyArray<string | undefined>) => {
  const more = ca.filter((one) => one !== undefined)
  if (protocol !== "https:" || more.length === 0) return {}
  return {
    secureContext: tls.createSecureContext({
      ca: [...(tls.getCACertificates?.("default") ?? tls.rootCertificates), ...more],
    }),
  }
}

const make = (options: Options) => {
  const origins = new SweptMap<Origin>({
    sweepAt: 64,
    isIdle: (origin) => origin.isIdle,
    dropped: (origin) => void origin.finish(),
  })
  const open = (url: string, ca: string | undefined): Origin => {
    const made = new Origin(url, ca, options)
    origins.set(url, made)
    return made
  }
  diagnostics.subscribe(channel, onSendHeaders)
  const originOf = ({ access, url }: Backend): Origin => {
    const ca = access === undefined ? undefined : Redacted.value(access).ca()
    const origin = origins.get(url)
    if (origin === undefined || origin.ca === ca) return origin ?? open(url, ca)
    // The backend has another authority now. Calls on the old connections go on.
    void origin.finish()
    return open(url, ca)
  }
  const send = (backend: Backend, call: Call, to: ByteSink): void => originOf(backend).send(backend, call, to)
  const close = Effect.promise(async () => {
    await Promise.all([...origins.values()].map((origin) => origin.destroy()))
    diagnostics.unsubscribe(channel, onSendHeaders)
  })
  return { send, received: ({ url }: Backend): number => origins.get(url)?.received() ?? 0, close }
}

/**
 * Has a pool of connections for each backend's URL, and closes them with the layer.
 *
 * **Details**
 *
 * - A backend may close a connection while no call is on it. When a call on such a connection breaks before any byte of
 *   an answer, it is sent once more to the same backend, on a new connection. The sink hears nothing of it. A call on
 *   a new connection is not repeated.
 * - Interim answers (`100 Continue`, `102`, `103 Early Hints`) are dropped.
 * - An answer whose head is longer than `headBytesMax` fails with `Protocol`.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options?: Options): Layer.Layer<Transport> =>
  Layer.effect(
    Transport,
    Effect.map(
      Effect.acquireRelease(Effect.sync(() => make(options ?? {})), ({ close }) => close),
      ({ received, send }) => Transport.of({ received, send }),
    ),
  )
