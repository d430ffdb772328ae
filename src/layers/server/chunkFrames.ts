/**
 * Puts chunks into one piece, as they are or in the frames of `Transfer-Encoding: chunked` (RFC 9112, 7.1).
 *
 * @since 0.1.0
 */
import { Buffer } from "node:buffer"

const carriageReturn = 13
const newline = 10
const zero = 48
/** From `9` to `a`. */
const toLetters = 39

/** `0`, and an empty trailer. */
const lastFrame = [zero, carriageReturn, newline, carriageReturn, newline]

const digitsOf = (length: number): number => {
  let digits = 1
  for (let rest = length >>> 4; rest > 0; rest >>>= 4) digits++
  return digits
}

/** The chunks one after the other. @internal */
export const joined = (parts: ReadonlyArray<Uint8Array>): Buffer => {
  const first = parts[0]!
  if (parts.length === 1) return Buffer.from(first.buffer, first.byteOffset, first.byteLength)
  return Buffer.concat(parts)
}

/** Each chunk in a frame of its own, and after them the frame that ends the body, if it `ends`. @internal */
export const framed = (parts: ReadonlyArray<Uint8Array>, ends: boolean): Buffer => {
  let size = ends ? lastFrame.length : 0
  for (const { length } of parts) size += digitsOf(length) + length + 4
  const bytes = Buffer.allocUnsafe(size)
  let at = 0
  for (const part of parts) {
    const { length } = part
    let rest = length
    const digits = digitsOf(length)
    for (let i = at + digits - 1; i >= at; i--) {
      const digit = rest & 15
      bytes[i] = digit < 10 ? zero + digit : zero + toLetters + digit
      rest >>>= 4
    }
    at += digits
    bytes[at++] = carriageReturn
    bytes[at++] = newline
    bytes.set(part, at)
    at += length
    bytes[at++] = carriageReturn
    bytes[at++] = newline
  }
  if (ends) for (const byte of lastFrame) bytes[at++] = byte
  return bytes
}
