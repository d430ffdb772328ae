/**
 * Reads the body of a `node:http` request, once and within a limit.
 *
 * @since 0.1.0
 */
import type { IncomingMessage } from "node:http"
import type { Refusal } from "../../services/Refusal.ts"
import { tooLarge } from "./decode.ts"
import { concat } from "./json.ts"

/** A body that is refused is still taken in up to this size, or its sender would never read the answer. Then the connection is cut. */
const discardedMax = 256 * 1024 * 1024

const nothing = new Uint8Array(0)

/** What became of a body. It is never called when the client leaves half way: the server hears that from the response. @internal */
export type Done = (result: Uint8Array | Refusal) => void

/** @internal */
export class BodyReader {
  /** Bytes that came, the discarded ones included: what shows that an upload goes on. */
  received = 0
  private readonly parts: Array<Uint8Array> = []
  private readonly incoming: IncomingMessage
  private readonly limit: number
  private done: Done | undefined

  constructor(incoming: IncomingMessage, limit: number, done: Done) {
    this.incoming = incoming
    this.limit = limit
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
    if (this.received > this.limit) this.finish(tooLarge)
  }

  private finish(result: Uint8Array | Refusal): void {
    const done = this.done
    this.done = undefined
    this.parts.length = 0
    done?.(result)
  }
}
