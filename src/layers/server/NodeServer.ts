/**
 * The listener of Node and Deno. Inference paths go straight to the router, one fiber each; everything else to the `HttpRouter` app.
 *
 * @since 0.1.0
 */
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import { Clock, Context, Duration, Effect, Exit, Layer, Random, Scope } from "effect"
import { HttpRouter, HttpServerError } from "effect/http"
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http"
import { Router } from "../../services/Router.ts"
import { Bag } from "../../support/bag.ts"
import { every } from "../../support/every.ts"
import { find } from "../../wire/endpoints.ts"
import * as Hosts from "../../wire/hosts.ts"
import { readHeaders } from "../../wire/request.ts"
import * as Cors from "./cors.ts"
import { NodeExchange, type Shared } from "./nodeExchange.ts"
import * as RequestId from "./requestId.ts"

/** @category models @since 0.1.0 */
export interface Options {
  /** Defaults to `127.0.0.1`. */
  readonly host?: string | undefined
  /** `0` takes a free one. Defaults to `11435`. */
  readonly port?: number | undefined
  /** Largest body, decoded, in bytes. Defaults to 64 MiB. */
  readonly bodyBytesMax?: number | undefined
  /** Origins allowed besides Ollama's built-in ones; `*` for all. Defaults to none. */
  readonly origins?: ReadonlyArray<string> | undefined
  /** Names besides Ollama's built-in ones that clients may call a server on loopback by; `*` for all. Defaults to none. */
  readonly hosts?: ReadonlyArray<string> | undefined
  /** Bodies held at one time, in bytes: being received, waiting or running; more are refused with 503. At least `bodyBytesMax`. Defaults to 512 MiB. */
  readonly heldBytesMax?: number | undefined
  /** Bytes of all answers that wait for their clients; beyond it, those who hold most are cut. Defaults to 256 MiB. */
  readonly bufferBytesMax?: number | undefined
  /**
   * Header that says whose request it is, for fair queues; `undefined` or empty for one tenant. For whoever in front can be trusted to set it: never one that
   * holds a secret, since tenants are named in events. Defaults to none.
   */
  readonly tenantHeader?: string | undefined
  /** How long streams may go on after the scope closes. Defaults to 30 seconds. */
  readonly drainTimeout?: Duration.Input | undefined
  /** A client that neither sends nor reads for so long is cut. Defaults to 60 seconds. */
  readonly stallTimeout?: Duration.Input | undefined
}

/**
 * A server that listens.
 *
 * @category services
 * @since 0.1.0
 */
export class NodeServer extends Context.Service<NodeServer, {
  readonly host: string
  readonly port: number
  readonly url: string
  /** Inference requests under way, from their head to the last byte of the answer. */
  readonly active: () => number
  /** Bytes of answers that wait for their clients. */
  readonly buffered: () => number
}>()("llamero/layers/server/NodeServer") {}

/** A client is looked at so many times before it is cut. */
const looks = 4

/** How often it is looked at what waits for clients: each holds little (a socket's buffer and a chunk), so the sum grows with their number alone. */
const relief = Duration.seconds(1)

const headersMillis = 20_000
/** Of the whole request. Uploads that stall are cut much earlier, by the sweeper; a slow one may take its time. */
const requestMillis = 30 * 60_000
/** Longer than the usual 60 seconds of whatever stands in front, so that it is not we who close under a request. */
const idleMillis = 75_000

const listen = (server: Server, host: string, port: number) =>
  Effect.callback<number, HttpServerError.ServeError>((resume) => {
    const onError = (cause: Error) => resume(Effect.fail(new HttpServerError.ServeError({ cause })))
    server.once("error", onError)
    server.listen({ host, port, backlog: 4096 }, () => {
      server.off("error", onError)
      const address = server.address()
      resume(Effect.succeed(typeof address === "object" && address !== null ? address.port : port))
    })
  })

const notAllowedText = "405 method not allowed"
const notAllowed = ["Allow", "POST", "Content-Type", "text/plain", "Content-Length", String(notAllowedText.length)]

/** A 204 has no body by itself, and may not say so. */
const emptyBody = (status: number): ReadonlyArray<string> => status === 204 ? [] : ["Content-Length", "0"]

type Handle = (request: IncomingMessage, response: ServerResponse) => void

/** Waits until `isIdle`, told by calls of `wake`. */
const idleness = (isIdle: () => boolean) => {
  let waiting: (() => void) | undefined
  return {
    wake: () => {
      if (isIdle()) waiting?.()
    },
    wait: Effect.callback<void>((resume) => {
      waiting = () => resume(Effect.void)
      if (isIdle()) waiting()
    }),
  }
}

const make = Effect.fnUntraced(function* (other: Handle, otherScope: Scope.Closeable, options: Options) {
  const clock = yield* Clock.Clock
  const router = yield* Router
  const context = yield* Effect.context<never>()
  const cors = Cors.make(options.origins)
  const mayAsk = Hosts.make(options.host ?? "127.0.0.1", options.hosts)
  const nextId = RequestId.make((yield* Random.nextIntBetween(0, 2 ** 31)).toString(36))
  const bodyBytesMax = options.bodyBytesMax ?? 64 * 1024 * 1024
  const active = new Bag<NodeExchange>()
  let others = 0
  let draining = false
  const idle = idleness(() => active.size === 0 && others === 0)
  const shared: Shared = {
    clock,
    router,
    fork: Effect.runForkWith(context),
    bodyBytesMax,
    tenantHeader: options.tenantHeader?.toLowerCase() || undefined,
    uploads: { bytes: 0, max: Math.max(bodyBytesMax, options.heldBytesMax ?? 512 * 1024 * 1024) },
    active,
    onIdle: idle.wake,
  }

  const pass = (request: IncomingMessage, response: ServerResponse, headers: ReadonlyArray<string>) => {
    others++
    response.once("close", () => {
      others--
      idle.wake()
    })
    for (let i = 0; i < headers.length; i += 2) response.setHeader(headers[i]!, headers[i + 1]!)
    other(request, response)
  }

  const handle: Handle = (request, response) => {
    if (draining) response.shouldKeepAlive = false
    const headers = readHeaders(request.rawHeaders)
    const id = nextId(headers.requestId)
    if (!mayAsk(headers.host)) {
      response.writeHead(403, ["X-Request-Id", id, ...emptyBody(403)]).end()
      return
    }
    const { origin } = headers
    const allowed = origin === undefined ? undefined : cors.decide(origin, headers.host, request.method ?? "")
    if (allowed?.status !== undefined) {
      response.writeHead(allowed.status, [...allowed.headers, "X-Request-Id", id, ...emptyBody(allowed.status)]).end()
      return
    }
    const endpoint = find(request.url ?? "")
    const extra = allowed?.headers ?? []
    if (endpoint === undefined) return pass(request, response, ["X-Request-Id", id, ...extra])
    if (request.method === "POST") {
      new NodeExchange(shared, request, response, endpoint, headers, id, extra)
      return
    }
    response.writeHead(405, [...notAllowed, "X-Request-Id", id, ...extra]).end(notAllowedText)
  }

  const server = createServer({
    noDelay: true,
    keepAlive: true,
    keepAliveTimeout: idleMillis,
    headersTimeout: headersMillis,
    requestTimeout: requestMillis,
    maxHeaderSize: 32 * 1024,
  }, handle)
  server.on("checkContinue", (request: IncomingMessage, response: ServerResponse) => {
    // Nobody need send what will be refused; the connection cannot be used again then.
    if (Number(request.headers["content-length"] ?? 0) > bodyBytesMax) response.shouldKeepAlive = false
    else response.writeContinue()
    handle(request, response)
  })

  const drain = Effect.gen(function* () {
    draining = true
    server.close()
    for (const { response } of active.snapshot()) if (!response.headersSent) response.shouldKeepAlive = false
    yield* router.drain
    yield* Effect.timeoutOrElse(idle.wait, {
      duration: options.drainTimeout ?? "30 seconds",
      orElse: () => Effect.void,
    })
    for (const exchange of active.snapshot()) exchange.cut()
    yield* Scope.close(otherScope, Exit.void)
    server.closeAllConnections()
  })

  const host = options.host ?? "127.0.0.1"
  const port = yield* Effect.acquireRelease(listen(server, host, options.port ?? 11435), () => drain)
  const stall = Duration.millis(Duration.toMillis(options.stallTimeout ?? "60 seconds") / looks)
  const sweep = Effect.sync(() => {
    for (const exchange of active.snapshot()) if (exchange.isStuck(looks)) exchange.cut()
  })
  yield* Effect.forkScoped(every(stall, sweep))
  const buffered = () => active.snapshot().reduce((sum, { response }) => sum + response.writableLength, 0)
  const bufferBytesMax = options.bufferBytesMax ?? 256 * 1024 * 1024
  const relieve = Effect.sync(() => {
    let over = buffered() - bufferBytesMax
    if (over <= 0) return
    const largest = active.snapshot().toSorted((a, b) => b.response.writableLength - a.response.writableLength)
    for (const exchange of largest) {
      if (over <= 0) return
      over -= exchange.response.writableLength
      exchange.cut()
    }
  })
  yield* Effect.forkScoped(every(relief, relieve))
  const shown = host.includes(":") ? `[${host}]` : host
  return NodeServer.of({ host, port, url: `http://${shown}:${port}`, active: () => active.size, buffered })
})

/**
 * The server of an app: what it needs and how it fails.
 *
 * @category models
 * @since 0.1.0
 */
export type Served<E, R> = Layer.Layer<
  NodeServer,
  HttpRouter.Request.Without<E> | HttpServerError.ServeError,
  | Router
  | Exclude<
    | HttpRouter.Request.Without<R>
    | Exclude<
      HttpRouter.Request.Only<"Requires", R> | HttpRouter.Request.Only<"GlobalRequires", R>,
      HttpRouter.GlobalProvided
    >,
    HttpRouter.HttpRouter
  >
>

/**
 * Serves a router and an app.
 *
 * **Details**
 *
 * When the scope closes: no new connections, new requests on old ones are refused, streams go on for `drainTimeout`, and then everything is closed.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = <A, E, R>(app: Layer.Layer<A, E, R>, options?: Options): Served<E, R> =>
  Layer.effect(
    NodeServer,
    Effect.gen(function* () {
      const routes = yield* HttpRouter.toHttpEffect(app)
      const scope = yield* Scope.make()
      const other = yield* NodeHttpServer.makeHandler(routes, { scope })
      return yield* make(other as Handle, scope, options ?? {})
    }),
    // What routes ask for at request time is stripped here as `HttpRouter.serve` does it: by type only.
  ) as unknown as Served<E, R>
