/** One connection: sends bytes in pieces, and gives what came back. */
import { connect } from "node:net"
import type { Sent } from "./requests.ts"

export interface Received {
  readonly bytes: Buffer
  /** Whether the server closed the connection. */
  readonly closed: boolean
}

/** What is not whole need not be answered. Then the client goes after so many milliseconds. */
const pause = 10

/** `patience`: milliseconds in which whole requests must be answered. */
export const send = (
  port: number,
  { bytes, isWhole, leaves, pieces }: Omit<Sent, "requests">,
  patience: number,
): Promise<Received> =>
  new Promise((resolve) => {
    const socket = connect({ port, host: "127.0.0.1", noDelay: true })
    const got: Array<Buffer> = []
    let length = 0
    let timer: ReturnType<typeof setTimeout> | undefined
    const done = (closed: boolean) => {
      clearTimeout(timer)
      if (leaves?.resets === true) socket.resetAndDestroy()
      else socket.destroy()
      resolve({ bytes: Buffer.concat(got), closed })
    }
    socket.on("data", (data: Buffer) => {
      got.push(data)
      length += data.length
      if (leaves?.what === "answer" && length >= leaves.after) done(false)
    })
    socket.on("error", () => {})
    socket.on("close", () => done(true))
    socket.on("connect", () => {
      let at = 0
      let piece = 0
      const end = leaves?.what === "request" ? leaves.after : bytes.length
      const step = () => {
        if (socket.destroyed) return
        if (at < end) {
          const next = Math.min(end, at + (pieces[piece++ % pieces.length] ?? bytes.length))
          socket.write(bytes.subarray(at, next))
          at = next
          return setImmediate(step)
        }
        if (leaves?.what === "request") return done(false)
        const rest = leaves?.what === "pause" ? leaves.after : isWhole ? patience : pause
        timer = setTimeout(() => done(false), rest)
      }
      step()
    })
  })
