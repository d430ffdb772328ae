/**
 * Puts chunks into one piece, as they are or in the frames of `Transfer-Encoding: chunked` (RFC 9112, 7.1).
 *
 * @since 0.1.0
 */
import { Buffer } from "node:buffer"
import type { ChunkList } from "../../support/chunkList.ts"

const carriageReturn = 13
const newline = 10
const zero = 48
/** From the digit after `9` to `a`. */
const toLetters = 39

/** `0`, and an empty trailer. */
const lastFrame = new Uint8Array([zero, carriageReturn, newline, carriageReturn, newline])
const none: ReadonlyArray<Uint8Array> = []

const digitsOf = (length: number): number => {
  let digits = 1
  for (let rest = length >>> 4; rest > 0; rest >>>= 4) digits++
  return digits
}

const frameSize = ({ length }: Uint8Array): number => digitsOf(length) + length + 4

/** Writes a chunk in its frame. Returns where the frame ends. */
const writeFrame = (to: Buffer, from: number, part: Uint8Array): number => {
  const { length } = part
  const digits = digitsOf(length)
  let rest = length
  for (let i = from + digits - 1; i >= from; i--) {
    const digit = rest & 15
    to[i] = digit < 10 ? zero + digit : zero + toLetters + digit
    rest >>>= 4
  }
  let at = from + digits
  to[at++] = carriageReturn
  to[at++] = newline
  to.set(part, at)
  at += length
  to[at++] = carriageReturn
  to[at++] = newline
  return at
}

/** One chunk or several, one after the other. @internal */
export const joined = (chunks: ChunkList): Buffer => {
  const { buffer, byteLength, byteOffset } = chunks.whole()
  return Buffer.from(buffer, byteOffset, byteLength)
}

/** Each chunk in a frame of its own, and after them the frame that ends the body, if it `ends`. @internal */
export const framed = (chunks: ChunkList, ends: boolean): Buffer => {
  const { first } = chunks
  const more = chunks.more ?? none
  let size = ends ? lastFrame.length : 0
  if (first !== undefined) size += frameSize(first)
  for (let i = 0; i < more.length; i++) size += frameSize(more[i]!)
  const bytes = Buffer.allocUnsafe(size)
  let at = first === undefined ? 0 : writeFrame(bytes, 0, first)
  for (let i = 0; i < more.length; i++) at = writeFrame(bytes, at, more[i]!)
  if (ends) bytes.set(lastFrame, at)
  return bytes
}
