/** A client without a socket: takes what the shipping replies write, and may read slowly, stop reading, or leave. */
import type { Clock } from "effect"
import { ReplyBase } from "../../layers/server/ReplyBase.ts"
import type { RoutedRequest } from "../../services/RoutedRequest.ts"
import type { Upstream } from "../../services/Transport.ts"
import { streams } from "../../wire/request.ts"
import type { Answer, Watch } from "../invariants/sights.ts"

const newline = 10

export class Client extends ReplyBase {
  readonly answer: Answer
  private readonly watch: Watch
  private readonly clock: Clock.Clock
  /** Writes that it takes before it stops reading. */
  private readonly takes: number
  /** Called when it has stopped. */
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

  /** Its connection is gone. */
  override leave(): void {
    this.answer.left = true
    super.leave()
    this.watch.tell("closed", this.answer)
  }

  protected start(status: number): void {
    this.answer.statuses.push(status)
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

  /** By the bytes that it has: nothing yet, or an ended line (native), or an ended event. */
  private get betweenRecords(): boolean {
    const last = this.answer.chunks.at(-1)
    if (last === undefined) return true
    if (last.at(-1) !== newline) return false
    if (this.answer.endpoint.dialect === "native") return true
    return (last.length > 1 ? last.at(-2) : this.answer.chunks.at(-2)?.at(-1)) === newline
  }
}
