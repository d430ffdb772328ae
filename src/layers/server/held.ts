/**
 * Counts the bytes of the bodies that a server holds.
 *
 * @since 0.1.0
 */
import { type Refusal, refuse } from "../../services/Refusal.ts"

/** The bytes of all bodies that a server holds, each until its request ends. @internal */
export interface Uploads {
  bytes: number
  readonly max: number
}

/** The bound that a server has when its options say nothing, in bytes. */
const heldBytesMax = 512 * 1024 * 1024

/** At least one body of the largest size fits. @internal */
export const uploads = (bodyBytesMax: number, max: number | undefined): Uploads => ({
  bytes: 0,
  max: Math.max(bodyBytesMax, max ?? heldBytesMax),
})

const tooMany = refuse("QueueFull", "too many bodies are being held", { retryAfter: 1 })

/** One body's part of `Uploads`. @internal */
export class Held {
  private readonly uploads: Uploads
  private bytes = 0

  constructor(uploads: Uploads) {
    this.uploads = uploads
  }

  /** Counts bytes that came. Returns why no more may come, if so. */
  add(bytes: number): Refusal | undefined {
    this.bytes += bytes
    this.uploads.bytes += bytes
    return this.uploads.bytes > this.uploads.max ? tooMany : undefined
  }

  /** Stops counting some of the bytes; all of them when nothing is given. */
  release(bytes = this.bytes): void {
    this.bytes -= bytes
    this.uploads.bytes -= bytes
  }
}
