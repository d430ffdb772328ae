/** A client that writes any bytes to a socket and records the bytes that come back. */
import { Effect } from "effect"
import { connect, type Socket } from "node:net"

export interface Raw {
  readonly socket: Socket
  readonly write: (data: string | Uint8Array) => void
  /** All bytes that came so far, as latin1. */
  readonly received: () => string
  readonly closed: () => boolean
  /** The chunks in which the bytes came. */
  readonly packets: ReadonlyArray<string>
}

export const open = (port: number) =>
  Effect.acquireRelease(
    Effect.promise(() =>
      new Promise<Raw>((resolve, reject) => {
        const packets: Array<string> = []
        let closed = false
        const socket = connect({ port, host: "127.0.0.1", noDelay: true }, () => {
          resolve({
            socket,
            write: (data) => void socket.write(data),
            received: () => packets.join(""),
            closed: () => closed,
            packets,
          })
        })
        socket.on("error", reject)
        socket.on("data", (data: Buffer) => packets.push(data.toString("latin1")))
        socket.on("close", () => {
          closed = true
        })
      })
    ),
    ({ socket }) => Effect.sync(() => socket.destroy()),
  )

export const post = (path: string, body: string, headers = ""): string =>
  `POST ${path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${Buffer.byteLength(body)}\r\n${headers}\r\n${body}`

/** The body of a whole chunked answer. A chunk can end anywhere, also in the middle of a word that a test looks for. */
export const unchunked = (answer: string): string => {
  let body = ""
  for (let at = answer.indexOf("\r\n\r\n") + 4;;) {
    const from = answer.indexOf("\r\n", at) + 2
    const size = parseInt(answer.slice(at, from), 16)
    if (!(size > 0)) return body
    body += answer.slice(from, from + size)
    at = from + size + 2
  }
}
