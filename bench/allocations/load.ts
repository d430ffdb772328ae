/** A fixed number of requests over a fixed number of connections. */
import type { Socket } from "node:net"
import { open, post } from "../load/connection.ts"
import { asks } from "../wire.ts"

export interface Load {
  readonly name: string
  readonly path: string
  readonly body: string
  /** Requests to send before the measurement, and during it. */
  readonly warm: number
  readonly counted: number
}

export const loads: ReadonlyArray<Load> = [
  { name: "JSON of 400 bytes", path: "/api/chat", body: asks.json, warm: 20_000, counted: 2000 },
  { name: "64-chunk stream", path: "/api/chat", body: asks.stream, warm: 3000, counted: 500 },
  { name: "coalesced embedding", path: "/api/embed", body: asks.embed, warm: 20_000, counted: 2000 },
]

/**
 * Sends `count` requests. Each connection sends the next one when the last is answered. Rejects at an answer other than
 * 200, and when a connection is closed.
 */
export const send = async (port: number, { body, path }: Load, connections: number, count: number): Promise<void> => {
  const request = post({ port, body, path })
  const sockets: Array<Socket> = []
  try {
    await new Promise<void>((resolve, reject) => {
      let [sent, answered] = [0, 0]
      const next = (socket: Socket): void => {
        if (sent === count) return
        sent++
        socket.write(request)
      }
      const dial = async (): Promise<void> => {
        const socket: Socket = await open(port, {
          answered: (status) => {
            if (status !== 200) return reject(new Error(`${path} answered ${status}`))
            if (++answered === count) resolve()
            else next(socket)
          },
          closed: () => reject(new Error("a connection was closed")),
        })
        sockets.push(socket)
      }
      Promise.all(Array.from({ length: Math.min(connections, count) }, dial)).then(() => sockets.forEach(next), reject)
    })
  } finally {
    for (const socket of sockets) socket.destroy()
  }
}
