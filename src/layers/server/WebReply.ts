/**
 * Writes answers to a web `Response`, for `deno serve` and serverless hosts.
 *
 * @since 0.1.0
 */
import type { Clock } from "effect"
import type { Endpoint } from "../../services/RoutedRequest.ts"
import { ReplyBase } from "./ReplyBase.ts"

/** Bytes buffered for a slow client before the backend is paused. */
const bufferBytes = 64 * 1024

/** A `Response` with one of these statuses throws if it has a body. */
const emptyStatuses = new Set([101, 204, 205, 304])

/**
 * A reply that becomes a `Response` when its first bytes come. A client that cancels the body counts as gone.
 *
 * @category models
 * @since 0.1.0
 */
export class WebReply extends ReplyBase {
  /** Resolves when the head is sent. */
  readonly response: Promise<Response>
  private readonly resolve: (response: Response) => void
  private readonly clock: Clock.Clock
  private readonly onLeave: () => void
  private controller: ReadableStreamDefaultController<Uint8Array> | undefined = undefined
  private settle: (() => void) | undefined = undefined

  constructor(
    endpoint: Endpoint,
    id: string,
    headers: ReadonlyArray<string>,
    clock: Clock.Clock,
    onLeave: () => void,
  ) {
    super(endpoint, id, headers)
    // Node 20 has no `Promise.withResolvers`.
    let resolve: (response: Response) => void = () => {}
    this.response = new Promise((done) => resolve = done)
    this.resolve = resolve
    this.clock = clock
    this.onLeave = onLeave
  }

  override leave(): void {
    super.leave()
    // The host still waits for a `Response`, even though the client has left.
    if (!this.committed) this.resolve(new Response(null, { status: 499 }))
    this.controller = undefined
  }

  protected start(status: number, raw: Array<string>): void {
    const headers = new Headers()
    for (let i = 0; i + 1 < raw.length; i += 2) headers.append(raw[i]!, raw[i + 1]!)
    if (emptyStatuses.has(status)) return this.resolve(new Response(null, { status, headers }))
    const body = new ReadableStream<Uint8Array>({
      start: (controller) => {
        this.controller = controller
      },
      pull: () => this.unblock(),
      cancel: () => {
        this.leave()
        this.onLeave()
      },
    }, { highWaterMark: bufferBytes, size: (chunk) => chunk?.byteLength ?? 0 })
    // The host gets the response after the first bytes were put into it, in the same step.
    this.settle = () => this.resolve(new Response(body, { status, headers }))
  }

  protected write(chunk: Uint8Array): boolean {
    const { controller, settle } = this
    if (controller === undefined) return true
    controller.enqueue(chunk)
    if (settle !== undefined) {
      this.settle = undefined
      settle()
    }
    return (controller.desiredSize ?? 0) > 0
  }

  protected finish(): void {
    const { controller, settle } = this
    this.controller = undefined
    this.settle = undefined
    controller?.close()
    settle?.()
  }

  protected destroy(): void {
    this.controller?.error(new Error("the answer broke off"))
    this.controller = undefined
    this.settle?.()
  }

  protected now(): number {
    return this.clock.currentTimeMillisUnsafe()
  }
}
