/**
 * One keep-alive HTTP/1.1 connection on a raw socket. A full HTTP client would cost more than the proxies that it
 * measures.
 */
import { connect, type Socket } from "node:net"

export interface Events {
  /** Bytes of a body arrived. */
  readonly data?: (bytes: Buffer) => void
  /** The answer is complete and the next request may be sent. */
  readonly answered?: (status: number) => void
  readonly closed: () => void
}

/** The bytes of a POST. */
export const post = (port: number, body: string, path = "/api/chat"): Buffer =>
  Buffer.from(
    `POST ${path} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nContent-Type: application/json\r\n` +
      `Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  )

const LAST_CHUNK = "\r\n0\r\n\r\n"

/** Reads one answer from the packets in which it comes. */
const answerReader = (events: Events) => {
  let head: Buffer | undefined = Buffer.alloc(0)
  let status = 0
  let missing = 0
  let chunked = false
  let tail = ""

  const readHead = (packet: Buffer): Buffer | undefined => {
    head = head!.length === 0 ? packet : Buffer.concat([head!, packet])
    const end = head.indexOf("\r\n\r\n")
    if (end < 0) return undefined
    const text = head.toString("latin1", 0, end)
    const length = /\r\ncontent-length: *(\d+)/i.exec(text)
    status = Number(text.slice(9, 12))
    chunked = length === null
    missing = length === null ? 0 : Number(length[1])
    tail = ""
    const body = head.subarray(end + 4)
    head = undefined
    return body
  }

  return (packet: Buffer) => {
    const body = head === undefined ? packet : readHead(packet)
    if (body === undefined) return
    if (body.length > 0) events.data?.(body)
    if (chunked) {
      tail = (tail + body.toString("latin1", Math.max(0, body.length - LAST_CHUNK.length))).slice(-LAST_CHUNK.length)
    } else missing -= body.length
    if (chunked ? tail === LAST_CHUNK : missing <= 0) {
      head = Buffer.alloc(0)
      events.answered?.(status)
    }
  }
}

/** Resolves when connected; rejects if it cannot connect. */
export const open = (port: number, events: Events): Promise<Socket> =>
  new Promise((resolve, reject) => {
    const socket = connect({ port, host: "127.0.0.1", noDelay: true })
    socket.once("connect", () => resolve(socket))
    socket.once("error", reject)
    socket.once("close", events.closed)
    socket.on("data", answerReader(events))
  })
