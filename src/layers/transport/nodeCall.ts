/**
 * One call to a backend, as a dispatch handler of undici.
 *
 * @since 0.1.0
 */
import { type ByteSink, TransportError, type Upstream } from "../../services/Transport.ts"
import type { Connection } from "./connection.ts"
import { reasonOf } from "./failures.ts"

/** The reason of every abort. One is enough: nothing reads its stack trace. */
const aborted = new Error("aborted by the router")

const latin1 = (value: Buffer | string): string => typeof value === "string" ? value : value.toString("latin1")

const strings = (raw: ReadonlyArray<Buffer | string>): Array<string> => {
  const headers = new Array<string>(raw.length)
  for (let i = 0; i < raw.length; i++) headers[i] = latin1(raw[i]!)
  return headers
}

/** What undici gives to a handler. */
interface Controller {
  readonly rawHeaders?: unknown
  abort(reason: Error): void
  pause(): void
  resume(): void
}

/** The connections on which calls are sent. @internal */
export const connections = new WeakMap<object, Connection>()

/** The call that undici begins at this moment. */
let starting: NodeCall | undefined

/**
 * undici does not tell a handler which connection it took. It publishes that on a channel, in the same turn in which it
 * has called `onRequestStart`.
 *
 * @internal
 */
export const onSendHeaders = (message: unknown): void => {
  const call = starting
  starting = undefined
  const connection = call === undefined ? undefined : connections.get((message as { readonly socket: object }).socket)
  if (connection === undefined) return
  connection.sending()
  call?.sentOn(connection)
}

/**
 * One call, as undici's dispatch handler. It drops its references when it ends, since undici can keep the handler for
 * longer.
 *
 * @internal
 */
export class NodeCall implements Upstream {
  private readonly backend: string
  private sink: ByteSink | undefined
  private readonly length: number
  /** Sends the call once more on a new connection. */
  private again: ((self: NodeCall) => void) | undefined
  private controller: Controller | undefined = undefined
  private connection: Connection | undefined = undefined
  private paused = false
  /** Whether there was a connection. Before that, the backend got nothing. */
  private started = false
  /** Bytes of the body that no connection has taken yet. */
  private left: number

  constructor(backend: string, sink: ByteSink, length: number, again: (self: NodeCall) => void) {
    this.backend = backend
    this.sink = sink
    this.left = this.length = length
    this.again = again
  }

  sentOn(connection: Connection): void {
    this.connection = connection
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
    this.controller = this.connection = this.again = undefined
    controller?.abort(aborted)
  }

  onRequestStart(controller: Controller): void {
    if (this.sink === undefined) return controller.abort(aborted)
    this.started = true
    this.controller = controller
    if (this.paused) controller.pause()
    starting = this
  }

  onBodySent(chunk: Uint8Array): void {
    this.left -= chunk.length
  }

  onResponseStart(controller: Controller, status: number): void {
    // Interim answers (1xx) are not for the client.
    if (status < 200) return
    this.sink?.head(status, strings(controller.rawHeaders as ReadonlyArray<Buffer | string>))
  }

  onResponseData(_controller: Controller, chunk: Buffer): void {
    this.sink?.data(chunk)
  }

  onResponseEnd(): void {
    this.take()?.end()
  }

  onResponseError(_controller: Controller, error: Error): void {
    const reason = reasonOf(error, this.started)
    if (reason === "Reset" && this.sink !== undefined && this.wasClosed()) return this.repeat()
    this.take()?.fail(new TransportError({ reason, backend: this.backend, description: error.message }))
  }

  /**
   * Whether the backend had closed the connection, as far as can be known: it had a call before, and no byte came back
   * for this one. A backend may close an idle connection at any time, also while a call is on its way (RFC 9112,
   * 9.3.1).
   */
  private wasClosed(): boolean {
    const { connection } = this
    return connection !== undefined && connection.reused && !connection.heard
  }

  private repeat(): void {
    const { again } = this
    this.controller = this.connection = this.again = undefined
    this.left = this.length
    again?.(this)
  }

  /** The sink, for its last event. */
  private take(): ByteSink | undefined {
    const sink = this.sink
    this.sink = undefined
    this.controller = this.connection = this.again = undefined
    return sink
  }
}
