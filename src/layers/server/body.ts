/**
 * Reads the body of a `node:http` request, once and within a limit.
 *
 * @since 0.1.0
 */
import type { IncomingMessage } from "node:http"
import { type Refusal, refuse } from "../../services/Refusal.ts"
import { concat } from "../../wire/json.ts"
import { tooLarge } from "./decode.ts"

/** A body that is refused is still taken in up to this size, or its sender would never read the answer. Then the connection is cut. */
const discardedMax = 256 * 1024 * 1024

const nothing = new Uint8Array(0)

/** What became of a body. It is never called when the client leaves half way: the server hears that from the response. @internal */
export type Done = (result: Uint8Array | Refusal) => void

/** The bytes of all bodies, from their first byte to the end of their requests. @internal */
export interface Uploads {
  bytes: number
  readonly max: number
}

const tooMany = refuse("QueueFull", "too many bodies are being held", { retryAfter: 1 })

/** @internal */
export class BodyReader {
  /** Bytes that came, the discarded ones included: what shows that an upload goes on. */
  received = 0
  private readonly parts: Array<Uint8Array> = []
  private readonly incoming: IncomingMessage
  private readonly limit: number
  private readonly uploads: Uploads
  /** What of `uploads` is this body's. */
  private held = 0
  private done: Done | undefined

  constructor(incoming: IncomingMessage, limit: number, uploads: Uploads, done: Done) {
    this.incoming = incoming
    this.limit = limit
    this.uploads = uploads
    this.done = done
    incoming.on("data", (chunk: Uint8Array) => this.take(chunk))
    incoming.on("end", () => this.finish(this.parts.length === 0 ? nothing : concat(this.parts)))
  }

  /** What the client says is coming; too much is refused before any of it has come. */
  expect(length: string | undefined): void {
    if (length !== undefined && Number(length) > this.limit) this.finish(tooLarge)
  }

  private take(chunk: Uint8Array): void {
    this.received += chunk.length
    if (this.done === undefined) {
      if (this.received > discardedMax) this.incoming.destroy()
      return
    }
    this.parts.push(chunk)
    this.held += chunk.length
    this.uploads.bytes += chunk.length
    if (this.received > this.limit) this.finish(tooLarge)
    else if (this.uploads.bytes > this.uploads.max) this.finish(tooMany)
  }

  /** It was compressed, and is so long in truth. */
  decoded(length: number): void {
    this.uploads.bytes += length - this.held
    this.held = length
  }

  /** The client has left, or has its answer: nobody needs the body any more. */
  release(): void {
    this.uploads.bytes -= this.held
    this.held = 0
  }

  private finish(result: Uint8Array | Refusal): void {
    const done = this.done
    this.done = undefined
    if ("_tag" in result) this.release()
    this.parts.length = 0
    done?.(result)
  }
}
