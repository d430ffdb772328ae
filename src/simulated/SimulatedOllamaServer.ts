/**
 * A simulated Ollama on a port, for clients that need a socket. Runs on Node and on Deno.
 *
 * @since 0.1.0
 */
import { Effect, type Scope } from "effect"
import { createServer, type IncomingMessage, type Server, type ServerResponse, STATUS_CODES } from "node:http"
import type { AddressInfo, Socket } from "node:net"
import type { Upstream } from "../services/Transport.ts"
import type { AnswerSink } from "./http/reply.ts"
import type { SimulatedServer } from "./server.ts"
import type { ServerOptions } from "./settings.ts"
import { makeServer } from "./SimulatedFleet.ts"

/**
 * A simulated server and its address.
 *
 * @category models
 * @since 0.1.0
 */
export interface Listening {
  readonly url: string
  readonly server: SimulatedServer
}

/**
 * What a listener does with its connections. The defaults are those of Ollama: it closes no connection, and takes heads
 * of up to 1 MiB.
 *
 * @category models
 * @since 0.1.0
 */
export interface Connections {
  /**
   * Requests that one connection may have. With the next one the connection breaks, as behind a proxy that has
   * forgotten it. Defaults to `Infinity`.
   */
  readonly requestsMax?: number | undefined
  /** Milliseconds after which an idle connection is closed. Defaults to `Infinity`. */
  readonly idleMillis?: number | undefined
}

/** Options of a server, and where it listens. @category models @since 0.1.0 */
export interface Options extends ServerOptions {
  /** Defaults to `0`: any free port. */
  readonly port?: number | undefined
  /** Defaults to `"127.0.0.1"`. */
  readonly hostname?: string | undefined
  /** How long connections live. Defaults to one without limits. */
  readonly connections?: Connections | undefined
}

/** Bytes: `http.DefaultMaxHeaderBytes` of Go, and the 4096 that Go adds to it. */
const headBytesMax = 1024 * 1024 + 4096

/**
 * Serves one simulated server over HTTP until the scope closes.
 *
 * **Gotchas**
 *
 * A port that listens cannot refuse a connection: the fault `refuse` shows as a reset. Clients see the same class of
 * error.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make: (options?: Options) => Effect.Effect<Listening, never, Scope.Scope> = Effect.fnUntraced(function* (
  options,
) {
  const hostname = options?.hostname ?? "127.0.0.1"
  const { idleMillis = Infinity, requestsMax = Infinity } = options?.connections ?? {}
  const listener = yield* listen(hostname, options?.port ?? 0, idleMillis)
  const { port } = listener.address() as AddressInfo
  const url = `http://${hostname}:${port}`
  const server = yield* makeServer(url, options)
  const requests = new WeakMap<object, number>()
  listener.on("request", (request, response) => {
    const turn = (requests.get(request.socket) ?? 0) + 1
    requests.set(request.socket, turn)
    if (turn > requestsMax) reset(request.socket)
    else serve(server, request, response)
  })
  return { url, server }
})

const listen = (hostname: string, port: number, idleMillis: number): Effect.Effect<Server, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.callback<Server>((resume) => {
      const server = createServer({
        requestTimeout: 0,
        headersTimeout: 0,
        // `0` is no limit. Node's own default would close each idle connection after 5 seconds.
        keepAliveTimeout: Number.isFinite(idleMillis) ? idleMillis : 0,
        // Node closes a connection this much later than it says to the client; Ollama says nothing.
        keepAliveTimeoutBuffer: 0,
        maxHeaderSize: headBytesMax,
      })
      server.maxHeadersCount = 0
      // The head and the first chunk are small packets. With Nagle's algorithm they would wait for each other, up to 40
      // ms.
      server.on("connection", (socket) => socket.setNoDelay(true))
      server.once("error", (error) => resume(Effect.die(error)))
      server.listen(port, hostname, () => resume(Effect.succeed(server)))
    }),
    (server) =>
      Effect.callback<void>((resume) => {
        server.close(() => resume(Effect.void))
        server.closeAllConnections()
      }),
  )

const reset = (socket: Socket): void => {
  if (typeof socket.resetAndDestroy === "function" && !socket.destroyed) socket.resetAndDestroy()
  else socket.destroy()
}

/** Passes the request to the simulated server and its answer to the client, unchanged. */
const serve = (simulated: SimulatedServer, request: IncomingMessage, response: ServerResponse): void => {
  const chunks: Array<Uint8Array> = []
  request.on("data", (chunk: Uint8Array) => chunks.push(chunk))
  request.on("error", () => {})
  request.on("end", () => {
    const body = chunks.length === 0 ? undefined : new Uint8Array(Buffer.concat(chunks))
    const { method = "GET", url = "/", rawHeaders } = request
    simulated.handle({ method, path: url, headers: rawHeaders, body }, toSink(request, response))
  })
}

const toSink = (request: IncomingMessage, response: ServerResponse): AnswerSink => {
  let upstream: Upstream | undefined
  response.on("drain", () => upstream?.resume())
  response.on("close", () => upstream?.abort())
  response.on("error", () => {})
  return {
    open: (up) => upstream = up,
    head: (status, rawHeaders) => {
      response.statusCode = status
      response.sendDate = false
      // Node adds `Connection`, and `Keep-Alive`, where they are not set; Ollama sends none.
      response.removeHeader("Connection")
      for (let index = 0; index + 1 < rawHeaders.length; index += 2) {
        const [name = "", value = ""] = [rawHeaders[index], rawHeaders[index + 1]]
        // Node makes the chunks itself.
        if (name !== "Transfer-Encoding") response.setHeader(name, value)
      }
    },
    data: (chunk) => {
      if (!response.write(chunk)) upstream?.pause()
    },
    end: () => void response.end(),
    fail: (reason) => {
      if (reason !== "Protocol") return reset(request.socket)
      request.socket.write("\u0000\u0001garbage\r\n\r\n")
      request.socket.destroy()
    },
    interim: (status) => {
      if (!response.headersSent) request.socket.write(`HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ""}\r\n\r\n`)
    },
  }
}
