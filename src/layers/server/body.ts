/**
 * Reads the body of a `node:http` request within its limits.
 *
 * The body readers of `effect/http` are Effects: they take a fiber and a stream for each request, and cannot count the
 * bytes of all bodies together.
 *
 * @since 0.1.0
 */
import type { IncomingMessage } from "node:http"
import type { Refusal } from "../../services/Refusal.ts"
import { ChunkList } from "../../support/chunkList.ts"
import { tooLarge } from "./decode.ts"
import { Held, type Uploads } from "./held.ts"

/**
 * Bytes of a refused body that are still read. A client that is sending does not read its answer before it has sent the
 * whole body. Beyond this, the connection is cut.
 */
const discardedMax = 256 * 1024 * 1024

/**
 * Gets the body, or why it is refused. Never called when the client leaves before the end: the response tells the
 * server of that.
 *
 * @internal
 */
export type Done = (result: Uint8Array | Refusal) => void

/** @internal */
export class BodyReader {
  /** Bytes that came, the discarded ones included. They show whether an upload still moves. */
  received = 0
  private readonly parts = new ChunkList()
  private readonly incoming: IncomingMessage
  private readonly limit: number
  /** Let go of when the request has ended. */
  readonly held: Held
  private done: Done | undefined

  constructor(incoming: IncomingMessage, limit: number, uploads: Uploads, done: Done) {
    this.incoming = incoming
    this.limit = limit
    this.held = new Held(uploads)
    this.done = done
    incoming.on("data", (chunk: Uint8Array) => this.take(chunk))
    incoming.on("end", () => this.finish(this.parts.whole()))
  }

  /** Takes the declared length. A body that is too long is refused before it comes. */
  expect(length: string | undefined): void {
    if (length !== undefined && Number(length) > this.limit) this.finish(tooLarge)
  }

  private take(chunk: Uint8Array): void {
    this.received += chunk.length
    if (this.done === undefined) {
      if (this.received > discardedMax) this.incoming.destroy()
      return
    }
    this.parts.add(chunk)
    const refused = this.held.add(chunk.length)
    if (this.received > this.limit) this.finish(tooLarge)
    else if (refused !== undefined) this.finish(refused)
  }

  private finish(result: Uint8Array | Refusal): void {
    const done = this.done
    this.done = undefined
    if ("_tag" in result) this.held.release()
    this.parts.clear()
    done?.(result)
  }
}
