/**
 * Writes answers to a `node:http` response.
 *
 * @since 0.1.0
 */
import type { Clock } from "effect"
import type { ServerResponse } from "node:http"
import type { Endpoint } from "../../services/RoutedRequest.ts"
import { ReplyBase } from "./ReplyBase.ts"

/**
 * A reply to a `ServerResponse`. Node corks the socket from the first write to the end of the tick, so the head and the
 * first chunk leave in one packet.
 *
 * @category models
 * @since 0.1.0
 */
export class NodeReply extends ReplyBase {
  private readonly response: ServerResponse
  private readonly clock: Clock.Clock
  private drains = false

  constructor(
    response: ServerResponse,
    endpoint: Endpoint,
    id: string,
    headers: ReadonlyArray<string>,
    clock: Clock.Clock,
  ) {
    super(endpoint, id, headers)
    this.response = response
    this.clock = clock
  }

  protected start(status: number, headers: Array<string>): void {
    this.response.writeHead(status, headers)
  }

  protected write(chunk: Uint8Array): boolean {
    if (this.response.write(chunk)) return true
    if (!this.drains) {
      this.drains = true
      this.response.on("drain", () => this.unblock())
    }
    return false
  }

  protected finish(): void {
    this.response.end()
  }

  protected destroy(): void {
    this.response.destroy()
  }

  protected now(): number {
    return this.clock.currentTimeMillisUnsafe()
  }
}
