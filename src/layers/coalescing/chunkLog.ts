/**
 * The chunks of one answer, for clients that read them at different speeds.
 *
 * @since 0.1.0
 */

/** Chunks by number, from 0. Chunks that every client has had can be forgotten. @internal */
export class ChunkLog {
  private readonly chunks: Array<Uint8Array> = []
  /** Number of the first chunk that is still kept. */
  private first = 0

  /** Number of the next chunk to come. */
  get end(): number {
    return this.first + this.chunks.length
  }

  /** Bytes that are kept. */
  get held(): number {
    return this.chunks.reduce((sum, chunk) => sum + chunk.length, 0)
  }

  add(chunk: Uint8Array): void {
    this.chunks.push(chunk)
  }

  /** The chunk with that number, which must be kept. */
  at(number: number): Uint8Array {
    return this.chunks[number - this.first]!
  }

  /** Forgets the chunks before that number. */
  forget(before: number): void {
    if (before <= this.first) return
    this.chunks.splice(0, before - this.first)
    this.first = before
  }
}
