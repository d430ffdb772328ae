/**
 * Reads the body of a `node:http` request within its limits.
 *
 * The body readers of `effect/http` are Effects: they take a fiber and a stream for each request, and cannot count the
 * bytes of all bodies together.
 *
 * @since 0.1.0
 */
import type { IncomingMessage } from "node:http"
import { type Refusal, refuse } from "../../services/Refusal.ts"
import { concat } from "../../wire/json.ts"
import { tooLarge } from "./decode.ts"

/**
 * Bytes of a refused body that are still read. A client that is sending does not read its answer before it has sent the
 * whole body. Beyond this, the connection is cut.
 */
const discardedMax = 256 * 1024 * 1024

const nothing = new Uint8Array(0)

/**
 * Gets the body, or why it is refused. Never called when the client leaves before the end: the response tells the
 * server of that.
 *
 * @internal
 */
export type Done = (result: Uint8Array | Refusal) => void

/** The bytes of all bodies that a server holds, each until its request ends. @internal */
export interface Uploads {
  bytes: number
  readonly max: number
}

const tooMany = refuse("QueueFull", "too many bodies are being held", { retryAfter: 1 })

/** @internal */
export class BodyReader {
  /** Bytes that came, the discarded ones included. They show whether an upload still moves. */
  received = 0
  private readonly parts: Array<Uint8Array> = []
  private readonly incoming: IncomingMessage
  private readonly limit: number
  private readonly uploads: Uploads
  /** This body's part of `uploads`. */
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
    this.parts.push(chunk)
    this.held += chunk.length
    this.uploads.bytes += chunk.length
    if (this.received > this.limit) this.finish(tooLarge)
    else if (this.uploads.bytes > this.uploads.max) this.finish(tooMany)
  }

  /** Takes the length of a body that was compressed, once it is known. */
  decoded(length: number): void {
    this.uploads.bytes += length - this.held
    this.held = length
  }

  /** Stops counting the body. Called when the request has ended. */
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
