/**
 * What is known of one connection to a backend: whether it had a call before, and whether the answer to the present
 * call has begun.
 *
 * @since 0.1.0
 */
import { Buffer } from "node:buffer"
import type { Socket } from "node:net"

const blankLine = "\r\n\r\n"

/** Bytes up to the status: `HTTP/1.1 103`. */
const statusEnd = 12

/**
 * Where the interim head (1xx) ends with which some bytes begin: `0` if they do not begin with one, and `undefined` if
 * more bytes are needed to tell. 101 is no interim head: it ends HTTP.
 *
 * @category parsing
 * @since 0.1.0
 */
export const interimEnd = (bytes: Buffer): number | undefined => {
  // The first digit of the status decides it for nearly every answer.
  if (bytes.length > 9 && bytes[9] !== 0x31) return 0
  const start = bytes.toString("latin1", 0, Math.min(bytes.length, statusEnd))
  if (start.length < statusEnd) return "HTTP/1.".startsWith(start.slice(0, 7)) ? undefined : 0
  if (!/^HTTP\/1\.[01] 1\d\d$/.test(start) || start.endsWith("101")) return 0
  const end = bytes.indexOf(blankLine, statusEnd, "latin1")
  return end < 0 ? undefined : end + blankLine.length
}

/** @category models @since 0.1.0 */
export class Connection {
  /** Whether it had a call before the present one. */
  reused = false
  /** Whether any byte came back since the head of the present call was sent. */
  heard = false
  private readonly socket: Socket
  private readonly headBytesMax: number
  private used = false
  /** Whether the bytes that come next may be an interim head. */
  private atHead = false
  /** The beginning of an interim head whose end has not come yet. */
  private part: Buffer | undefined = undefined

  constructor(socket: Socket, headBytesMax: number) {
    this.socket = socket
    this.headBytesMax = headBytesMax
  }

  get bytesRead(): number {
    return this.socket.bytesRead
  }

  /** Call it when the head of a call is sent on this connection. */
  sending(): void {
    this.reused = this.used
    this.used = true
    this.heard = false
    this.atHead = true
  }

  /**
   * Lets undici read everything but interim heads. undici takes `100 Continue` for an error when it did not ask for
   * one, but a proxy may send it at any time (RFC 9110, 15.2), and no client of the router waits for it.
   */
  watch(): void {
    const { socket } = this
    const read = socket.read
    socket.read = (size?: number) => {
      const chunk = read.call(socket, size)
      return this.atHead && chunk !== null ? this.withoutInterim(chunk) : chunk
    }
  }

  private withoutInterim(chunk: Buffer): Buffer | null {
    this.heard = true
    let bytes = this.part === undefined ? chunk : Buffer.concat([this.part, chunk])
    this.part = undefined
    while (bytes.length > 0) {
      const end = interimEnd(bytes)
      // undici refuses a head that is too long.
      if (end === 0 || (end === undefined && bytes.length > this.headBytesMax)) {
        this.atHead = false
        return bytes
      }
      if (end === undefined) {
        this.part = bytes
        return null
      }
      bytes = bytes.subarray(end)
    }
    return null
  }
}
