/** A client without a socket. It takes what the shipped replies write, and may read slowly, stop reading, or leave. */
import type { Clock } from "effect"
import { ReplyBase } from "../../layers/server/ReplyBase.ts"
import { header, type RoutedRequest } from "../../services/RoutedRequest.ts"
import type { Upstream } from "../../services/Transport.ts"
import { streams } from "../../wire/request.ts"
import type { ClientAnswer } from "../invariants/observations.ts"
import type { Watch } from "../invariants/watch.ts"

const newline = 10

export class Client extends ReplyBase {
  readonly answer: ClientAnswer
  private readonly watch: Watch
  private readonly clock: Clock.Clock
  /** Writes that the client takes before it stops reading; `0` for all. */
  private readonly takes: number
  /** Called when the client stops reading. */
  private readonly stopped: (client: Client) => void
  private written = 0
  private beating = false

  constructor(
    request: RoutedRequest,
    watch: Watch,
    clock: Clock.Clock,
    takes: number,
    stopped: (client: Client) => void,
  ) {
    super(request.endpoint, request.id, [])
    this.describe(request.envelope.model, streams(request))
    this.watch = watch
    this.clock = clock
    this.takes = takes
    this.stopped = stopped
    this.answer = {
      id: request.id,
      endpoint: request.endpoint,
      model: request.envelope.model,
      tenant: request.tenant,
      streams: streams(request),
      statuses: [],
      measured: false,
      chunks: [],
      misplaced: 0,
      opens: 0,
      endings: [],
      left: false,
    }
  }

  override open(upstream: Upstream): void {
    this.answer.opens++
    super.open(upstream)
  }

  override heartbeat(): void {
    this.beating = true
    super.heartbeat()
    this.beating = false
  }

  /** The connection of the client is gone. */
  override leave(): void {
    this.answer.left = true
    super.leave()
    this.watch.tell("closed", this.answer)
  }

  protected start(status: number, headers: ReadonlyArray<string>): void {
    this.answer.statuses.push(status)
    this.answer.measured = header(headers, "content-length") !== undefined
  }

  protected write(chunk: Uint8Array): boolean {
    if (this.beating) {
      if (!this.betweenRecords) this.answer.misplaced++
    } else this.answer.chunks.push(chunk)
    this.written++
    if (this.written !== this.takes) return true
    this.stopped(this)
    return false
  }

  protected finish(): void {
    this.answer.endings.push("finished")
    this.watch.tell("closed", this.answer)
  }

  protected destroy(): void {
    this.answer.endings.push("cut")
    this.watch.tell("closed", this.answer)
  }

  protected now(): number {
    return this.clock.currentTimeMillisUnsafe()
  }

  /** By the bytes that the client got: none yet, or a complete line (native), or a complete event. */
  private get betweenRecords(): boolean {
    const last = this.answer.chunks.at(-1)
    if (last === undefined) return true
    if (last.at(-1) !== newline) return false
    if (this.answer.endpoint.dialect === "native") return true
    return (last.length > 1 ? last.at(-2) : this.answer.chunks.at(-2)?.at(-1)) === newline
  }
}
