/**
 * The HTTP server for Node and Deno. Inference requests go to the router, in one fiber each, without `HttpRouter`: that
 * is faster. All other requests go to an `HttpRouter` app.
 *
 * @since 0.1.0
 */
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import { Clock, Context, Duration, Effect, Exit, Layer, Random, Scope } from "effect"
import { HttpRouter, type HttpServerError } from "effect/http"
import { Router } from "../../services/Router.ts"
import { every } from "../../support/every.ts"
import * as Hosts from "../../wire/hosts.ts"
import { toHttpEffect } from "./appRoutes.ts"
import * as Cors from "./cors.ts"
import * as Decode from "./decode.ts"
import * as Connections from "./connections.ts"
import { uploads } from "./held.ts"
import { listen, makeServer } from "./listen.ts"
import type { Shared } from "./nodeExchange.ts"
import * as Handler from "./nodeHandler.ts"
import { checksUntilStalled, NodeTraffic } from "./nodeTraffic.ts"
import { isOwn } from "./ownNames.ts"
import * as RequestId from "./requestId.ts"

/** @category models @since 0.1.0 */
export interface Options {
  /** Defaults to `127.0.0.1`. */
  readonly host?: string | undefined
  /** `0` for any free port. Defaults to `11435`. */
  readonly port?: number | undefined
  /** Largest body, after decoding, in bytes. Defaults to 64 MiB. */
  readonly bodyBytesMax?: number | undefined
  /**
   * Longest head of a request: its target, and the names and values of its headers, in bytes. A longer one gets 431.
   * Defaults to 1 MiB, as in Ollama.
   */
  readonly headBytesMax?: number | undefined
  /** Origins allowed besides Ollama's built-in ones; `*` for all. Defaults to none. */
  readonly origins?: ReadonlyArray<string> | undefined
  /**
   * Headers that pages may send besides `tenantHeader` and those that llamero, Ollama and their clients use. Defaults
   * to none.
   */
  readonly allowHeaders?: ReadonlyArray<string> | undefined
  /**
   * Names in `Host` that a server on loopback accepts besides the machine's own and Ollama's built-in ones; `*` for
   * all. Defaults to none.
   */
  readonly hosts?: ReadonlyArray<string> | undefined
  /**
   * A second listener, on 127.0.0.1 only, for clients on this machine that cannot send an API key, such as the `ollama`
   * command. It answers like the first one. `ApiKeyGuard` and `KeyedRoutes` can give its requests a key by their option
   * `local`; without that it lets nobody in who sends no key. Requests of web pages (`Origin`) and of proxies
   * (`Forwarded`, `X-Forwarded-For`, `Via`), and those whose `Host` is not loopback, need a key here, too. `hosts` does
   * not hold here. Defaults to none.
   */
  readonly local?: { readonly port: number } | undefined
  /**
   * Most bytes of all bodies that the server holds: of those that it receives, that wait, and that a backend answers.
   * More are refused with 503. At least `bodyBytesMax`. Defaults to 512 MiB.
   */
  readonly heldBytesMax?: number | undefined
  /**
   * Most bytes of all answers that clients have not taken yet. Beyond it, the largest ones are cut off. Defaults to
   * 256 MiB.
   */
  readonly bufferBytesMax?: number | undefined
  /**
   * Name of the header that holds the tenant, for fair queues. Something trusted in front of the router must set it. It
   * must not hold a secret: events name the tenant. Defaults to none: all requests belong to one tenant.
   */
  readonly tenantHeader?: string | undefined
  /** How long streams may go on after the layer's scope closes. Defaults to 30 seconds. */
  readonly drainTimeout?: Duration.Input | undefined
  /** Longest time in which a client neither sends nor reads. Then it is cut off. Defaults to 60 seconds. */
  readonly stallTimeout?: Duration.Input | undefined
}

const key = "llamero/layers/server/NodeServer"
const Base: Context.ServiceClass<NodeServer, typeof key, Service> = Context.Service<NodeServer, Service>()(key)

/**
 * A server that listens on a port.
 *
 * @category services
 * @since 0.1.0
 */
export class NodeServer extends Base {}

/** The members of `NodeServer`. @category services @since 0.1.0 */
export interface Service {
  readonly host: string
  readonly port: number
  readonly url: string
  /** The URL of the listener for clients on this machine, where there is one. */
  readonly localUrl: string | undefined
  /** Number of inference requests, from their head to the last byte of their answer. */
  readonly active: () => number
  /** Bytes of answers that clients have not taken yet. */
  readonly buffered: () => number
}

/** How often the buffered bytes are summed up. They grow slowly: a client has a socket's buffer and a chunk at most. */
const reliefInterval = Duration.seconds(1)

/** The listener for clients on this machine must never be reached from another one. */
const localAddress = "127.0.0.1"

const make = Effect.fnUntraced(function* (app: Handler.Handler, appScope: Scope.Closeable, options: Options) {
  const router = yield* Router
  const host = options.host ?? "127.0.0.1"
  const bodyBytesMax = options.bodyBytesMax ?? 64 * 1024 * 1024
  const traffic = new NodeTraffic()
  const shared: Shared = {
    clock: yield* Clock.Clock,
    router,
    fork: Effect.runForkWith(yield* Effect.context<never>()),
    bodyBytesMax,
    tenantHeader: options.tenantHeader?.toLowerCase() || undefined,
    uploads: uploads(bodyBytesMax, options.heldBytesMax),
    decode: Decode.make(),
    active: traffic.active,
    onIdle: () => traffic.ended(),
    local: false,
  }
  // Until it is known what the server is bound to.
  let acceptsHost = Hosts.local()
  const rules: Handler.Rules = {
    cors: Cors.make(options.origins, [...(options.allowHeaders ?? []), options.tenantHeader ?? ""]),
    acceptsHost: (name) => acceptsHost(name),
    headBytesMax: options.headBytesMax ?? 1024 * 1024,
    nextId: RequestId.make((yield* Random.nextIntBetween(0, 2 ** 31)).toString(36)),
  }
  const server = makeServer(Handler.make(shared, rules, traffic, app), rules, bodyBytesMax)
  const localRules = { ...rules, acceptsHost: Hosts.local({ isOwn }) }
  const localServer = makeServer(
    Handler.make({ ...shared, local: true }, localRules, traffic, app),
    localRules,
    bodyBytesMax,
  )

  yield* Connections.measure([server, localServer])

  const drain = Effect.gen(function* () {
    traffic.draining = true
    server.close()
    localServer.close()
    for (const { response } of traffic.active.snapshot()) if (!response.headersSent) response.shouldKeepAlive = false
    yield* router.drain
    yield* Effect.timeoutOrElse(traffic.idle, {
      duration: options.drainTimeout ?? "30 seconds",
      orElse: () => Effect.void,
    })
    traffic.cutAll()
    yield* Scope.close(appScope, Exit.void)
    server.closeAllConnections()
    localServer.closeAllConnections()
  })

  const { address, port } = yield* Effect.acquireRelease(listen(server, host, options.port ?? 11435), () => drain)
  acceptsHost = Hosts.make(address, { names: options.hosts, isOwn })
  const local = options.local === undefined ? undefined : yield* listen(localServer, localAddress, options.local.port)
  const stallInterval = Duration.millis(Duration.toMillis(options.stallTimeout ?? "60 seconds") / checksUntilStalled)
  yield* Effect.forkScoped(every(stallInterval, Effect.sync(() => traffic.cutStalled())))
  const bufferBytesMax = options.bufferBytesMax ?? 256 * 1024 * 1024
  yield* Effect.forkScoped(every(reliefInterval, Effect.sync(() => traffic.cutLargest(bufferBytesMax))))
  return NodeServer.of({
    host,
    port,
    url: `http://${host.includes(":") ? `[${host}]` : host}:${port}`,
    localUrl: local === undefined ? undefined : `http://${localAddress}:${local.port}`,
    active: () => traffic.active.size,
    buffered: () => traffic.buffered(),
  })
})

/**
 * The layer of a server for an app, with what the app still needs and how it can fail.
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
 * When the scope closes, the server takes no new connections and refuses new requests on old ones. Streams go on for
 * `drainTimeout`. Then everything is closed.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = <A, E, R>(app: Layer.Layer<A, E, R>, options?: Options): Served<E, R> =>
  Layer.effect(
    NodeServer,
    Effect.gen(function* () {
      const routes = yield* toHttpEffect(app)
      const scope = yield* Scope.make()
      const handler = yield* NodeHttpServer.makeHandler(routes, { scope })
      return yield* make(handler as Handler.Handler, scope, options ?? {})
    }),
    // As in `HttpRouter.serve`, only the type drops what routes need at request time.
  ) as unknown as Served<E, R>

/** Logs the address of a server when it listens. @category combinators @since 0.1.0 */
export const withLogAddress = <E, R>(server: Layer.Layer<NodeServer, E, R>): Layer.Layer<NodeServer, E, R> =>
  Layer.tap(server, (context) => Effect.logInfo(`listening on ${Context.get(context, NodeServer).url}`))
