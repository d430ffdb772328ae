/**
 * Writes answers to a `node:http` response.
 *
 * @since 0.1.0
 */
import type { Clock } from "effect"
import type { Buffer } from "node:buffer"
import type { ServerResponse } from "node:http"
import process from "node:process"
import type { Endpoint } from "../../services/RoutedRequest.ts"
import { ChunkList } from "../../support/chunkList.ts"
import * as ChunkFrames from "./chunkFrames.ts"
import { ReplyBase } from "./ReplyBase.ts"

/** Whether `node:http` is Node's own. Deno and Bun have other servers below that interface. */
const isNode = !("Deno" in globalThis) && !("Bun" in globalThis)

/** Bytes. So many leave as one string with the head: Node would write a string and bytes with `writev`, more slowly. */
const withHeadMax = 8 * 1024

/**
 * A reply to a `ServerResponse`.
 *
 * **Details**
 *
 * Chunks that come in one turn of the event loop are written in one call, the head with the first of them. Node alone
 * would write four pieces for each chunk. Each chunk keeps a frame of its own, so that clients get it as the backend
 * wrote it.
 *
 * @category models
 * @since 0.1.0
 */
export class NodeReply extends ReplyBase {
  private readonly response: ServerResponse
  private readonly clock: Clock.Clock
  /** The chunks of this turn. */
  private readonly chunks = new ChunkList()
  /** Whether this reply writes the frames of the chunks. */
  private framed = false
  /** Whether the head has left. */
  private opened = false
  private scheduled = false
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
    const { response } = this
    response.writeHead(status, headers)
    if (!isNode || !response.chunkedEncoding) return
    this.framed = true
    response.chunkedEncoding = false
  }

  protected write(chunk: Uint8Array): boolean {
    this.chunks.add(chunk)
    if (!this.scheduled) {
      this.scheduled = true
      process.nextTick(flush, this)
    }
    return true
  }

  protected finish(): void {
    this.flush(true)
    this.response.end()
  }

  protected destroy(): void {
    this.chunks.clear()
    this.response.destroy()
  }

  protected now(): number {
    return this.clock.currentTimeMillisUnsafe()
  }

  /** Writes the chunks that have come. @internal */
  flush(ends: boolean): void {
    this.scheduled = false
    const { chunks, framed, response } = this
    const ended = framed && ends
    if (chunks.first === undefined && !ended) return
    const bytes = framed ? ChunkFrames.framed(chunks, ended) : ChunkFrames.joined(chunks)
    chunks.clear()
    const takesMore = isNode ? this.writeNow(bytes) : response.write(bytes)
    if (takesMore || ends) return
    if (!this.drains) {
      this.drains = true
      response.on("drain", () => this.unblock())
    }
    this.block()
  }

  private writeNow(bytes: Buffer): boolean {
    const { opened, response } = this
    const { socket } = response
    this.opened = true
    // Without this, Node holds the bytes back until the end of the turn, and writes an empty string after them.
    socket?.cork()
    const takesMore = opened || bytes.length > withHeadMax
      ? response.write(bytes)
      : response.write(bytes.toString("latin1"), "latin1")
    socket?.uncork()
    return takesMore
  }
}

const flush = (reply: NodeReply): void => {
  if (!reply.closed) reply.flush(false)
}
