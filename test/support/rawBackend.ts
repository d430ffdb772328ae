/** Backends that a test writes byte by byte, on real sockets. */
import { Effect, type Scope } from "effect"
import { type AddressInfo, createServer, type Socket } from "node:net"
import { type Backend, backend } from "../../src/services/Fleet.ts"

/** One request as it came. */
export interface Heard {
  readonly socket: Socket
  /** The number of the connection, from 1. */
  readonly connection: number
  /** The number of the request on its connection, from 1. */
  readonly turn: number
  readonly head: string
  readonly body: string
}

export interface Raw {
  readonly backend: Backend
  /** All whole requests, in the order in which they came. */
  readonly requests: ReadonlyArray<Heard>
  /** Connections so far. */
  readonly connections: () => number
}

/** The bytes of an answer. */
export const answer = (body: string, headers = ""): string =>
  `HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n${headers}Content-Length: ${body.length}\r\n\r\n${body}`

/**
 * A server whose answers `respond` writes to the socket. `opened` gets each new connection. Requests must have a
 * `Content-Length` or no body.
 */
export const rawBackend = (
  respond: (heard: Heard) => void,
  opened: (socket: Socket, connection: number) => void = () => {},
): Effect.Effect<Raw, never, Scope.Scope> =>
  Effect.gen(function* () {
    const requests: Array<Heard> = []
    const sockets = new Set<Socket>()
    let connections = 0
    const server = createServer({ allowHalfOpen: true }, (socket) => {
      const connection = ++connections
      let turn = 0
      let got = ""
      sockets.add(socket)
      socket.on("error", () => {})
      socket.on("close", () => sockets.delete(socket))
      socket.on("end", () => socket.end())
      opened(socket, connection)
      socket.on("data", (chunk: Uint8Array) => {
        got += Buffer.from(chunk).toString("latin1")
        for (let end = got.indexOf("\r\n\r\n"); end >= 0; end = got.indexOf("\r\n\r\n")) {
          const head = got.slice(0, end)
          const length = Number(/content-length: (\d+)/i.exec(head)?.[1] ?? 0)
          if (got.length < end + 4 + length) return
          const body = got.slice(end + 4, end + 4 + length)
          got = got.slice(end + 4 + length)
          const heard = { socket, connection, turn: ++turn, head, body }
          requests.push(heard)
          respond(heard)
        }
      })
    })
    yield* Effect.acquireRelease(
      Effect.promise(() => new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))),
      () =>
        Effect.sync(() => {
          server.close()
          for (const socket of sockets) socket.destroy()
        }),
    )
    const { port } = server.address() as AddressInfo
    return { backend: backend(`http://127.0.0.1:${port}`), requests, connections: () => connections }
  })
