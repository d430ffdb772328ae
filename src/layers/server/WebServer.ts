/**
 * The HTTP server as a web `fetch` handler, for `deno serve` and serverless hosts.
 *
 * @since 0.1.0
 */
import { Clock, Context, Effect, Exit, Layer, Random, Scope } from "effect"
import { HttpEffect, HttpRouter, type HttpServerResponse } from "effect/http"
import { Router } from "../../services/Router.ts"
import { ViewRefresh } from "../../services/ViewRefresh.ts"
import { Bag } from "../../support/bag.ts"
import { find } from "../../wire/endpoints.ts"
import * as Hosts from "../../wire/hosts.ts"
import { readHeaders } from "../../wire/request.ts"
import { forRoutes } from "../../wire/target.ts"
import { toHttpEffect } from "./appRoutes.ts"
import * as Cors from "./cors.ts"
import * as Decode from "./decode.ts"
import { uploads } from "./held.ts"
import * as Refused from "./refused.ts"
import * as RequestId from "./requestId.ts"
import { type Shared, WebExchange } from "./webExchange.ts"
import { hostOf, pairs, rawOf, targetOf, withHeaders, withTarget } from "./webMessage.ts"

/** @category models @since 0.1.0 */
export interface Options {
  /** Largest body, after decoding, in bytes. Defaults to 64 MiB. */
  readonly bodyBytesMax?: number | undefined
  /**
   * Most bytes of all bodies together, decoded, each until its request ends. Beyond it, requests get 503. At least
   * `bodyBytesMax`. Defaults to 512 MiB.
   */
  readonly heldBytesMax?: number | undefined
  /** Origins allowed besides Ollama's built-in ones; `*` for all. Defaults to none. */
  readonly origins?: ReadonlyArray<string> | undefined
  /**
   * Headers that pages may send besides `tenantHeader` and those that llamero, Ollama and their clients use. Defaults
   * to none.
   */
  readonly allowHeaders?: ReadonlyArray<string> | undefined
  /**
   * Names in `Host` that the handler answers besides local ones and names without a dot, such as `llm.example.com`; `*`
   * for all. Defaults to none: a handler does not know where it listens, so the rule that Ollama has on loopback holds
   * everywhere. All other names get 403. Otherwise a web page could reach a router in a private network under a name
   * of its own (DNS rebinding).
   */
  readonly hosts?: ReadonlyArray<string> | undefined
  /**
   * Name of the header that holds the tenant, for fair queues. Something trusted in front of the router must set it. It
   * must not hold a secret: events name the tenant. Defaults to none: all requests belong to one tenant.
   */
  readonly tenantHeader?: string | undefined
}

/** The handler that a host calls. @category models @since 0.1.0 */
export interface WebHandler {
  /**
   * Answers a request. `info` is what `deno serve` gives as the second argument: the address of the client is read from
   * its `remoteAddr`. On other hosts clients have no address.
   */
  readonly fetch: (request: Request, info?: unknown) => Promise<Response>
  /** Number of inference requests that have not ended. */
  readonly active: () => number
}

/** What `toFetch` adds to a handler. @category models @since 0.1.0 */
export interface Disposable {
  /** Drains the router and closes all layers. A second call waits for the first. */
  readonly dispose: () => Promise<void>
}

/**
 * A handler for an app, with what the app still needs and how making it can fail.
 *
 * @category models
 * @since 0.1.0
 */
export type Made<E, R> = Effect.Effect<
  WebHandler,
  HttpRouter.Request.Without<E>,
  Router | Scope.Scope | Exclude<HttpRouter.Request.Without<R>, HttpRouter.HttpRouter>
>

/** The address of a client, from `Deno.ServeHandlerInfo`. */
const addressOf = (info: unknown): string | undefined => {
  const from = (info as { readonly remoteAddr?: { readonly hostname?: unknown } | null } | null | undefined)?.remoteAddr
  return typeof from?.hostname === "string" ? from.hostname : undefined
}

/** What the requests of a handler share. */
interface Parts {
  readonly shared: Shared
  readonly acceptsHost: (host: string | undefined) => boolean
  readonly cors: Cors.Cors
  readonly nextId: (offered: string | undefined) => string
  /** Waits until the view of the fleet is fresh enough; `undefined` when it is. */
  readonly stale: () => Effect.Effect<void> | undefined
  readonly promise: (effect: Effect.Effect<void>) => Promise<void>
  readonly app: (request: Request) => Promise<Response>
}

/** Whether a name can only be one of the local network, such as that of a container: no web page has such a name. */
const isDotless = (name: string): boolean => /^[\w-]+$/.test(name)

/** Who runs the router reads this when its public name is not set. A page of another name cannot read it. */
const strange = (host: string, id: string): Response =>
  Response.json({ error: `this router does not answer to the name ${host}: add it to hosts` }, {
    status: 403,
    headers: { "X-Request-Id": id },
  })

const headOf = (request: Request, id: string, headers: ReadonlyArray<string>): Refused.Head => ({
  id,
  method: request.method,
  target: targetOf(request.url),
  headers,
})

const answer = async (parts: Parts, request: Request, info: unknown): Promise<Response> => {
  const { shared } = parts
  const raw = rawOf(request.headers)
  const headers = readHeaders(raw)
  const id = parts.nextId(headers.requestId)
  const host = headers.host ?? hostOf(request.url)
  const target = targetOf(request.url)
  if (!parts.acceptsHost(host)) {
    Refused.head(shared, headOf(request, id, raw), 403, "Forbidden")
    return strange(host, id)
  }
  const allowed = headers.origin === undefined ? undefined : parts.cors.decide(headers.origin, host, request.method)
  const extra = allowed?.headers ?? []
  if (allowed?.status !== undefined) {
    if (allowed.status >= 400) Refused.head(shared, headOf(request, id, raw), allowed.status, "Forbidden")
    return new Response(null, { status: allowed.status, headers: pairs([...extra, "X-Request-Id", id]) })
  }
  const stale = parts.stale()
  if (stale !== undefined) await parts.promise(stale)
  const endpoint = find(target, request.method)
  if (endpoint === undefined) {
    const head = { ...headOf(request, id, raw), arrivedAt: shared.clock.currentTimeMillisUnsafe() }
    const response = await parts.app(withTarget(request, target, forRoutes(target)))
    Refused.answered(shared, head, response.status)
    return withHeaders(response, ["X-Request-Id", id, ...extra])
  }
  if (request.method !== "POST") {
    const fixed = ["Allow", "POST", "Content-Type", "text/plain", "X-Request-Id", id, ...extra]
    const text = request.method === "HEAD" ? null : "405 method not allowed"
    Refused.head(shared, headOf(request, id, raw), 405, "MethodNotAllowed", endpoint)
    return new Response(text, { status: 405, headers: pairs(fixed) })
  }
  return new WebExchange(shared, request, endpoint, id, extra, addressOf(info)).start(raw, headers)
}

/**
 * Makes a handler with the router of the caller's context. Its requests run in the caller's scope: a `Response` can
 * outlive the call of the handler.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = <A, E, R>(app: Layer.Layer<A, E, R>, options?: Options): Made<E, R> =>
  Effect.gen(function* () {
    const routes = yield* toHttpEffect(app)
    const context = yield* Effect.context<never>()
    const router = yield* Router
    const view = yield* ViewRefresh
    const active = new Bag<WebExchange>()
    const bodyBytesMax = options?.bodyBytesMax ?? 64 * 1024 * 1024
    const parts: Parts = {
      shared: {
        clock: yield* Clock.Clock,
        router,
        fork: Effect.runForkWith(context),
        bodyBytesMax,
        uploads: uploads(bodyBytesMax, options?.heldBytesMax),
        decode: Decode.make(),
        tenantHeader: options?.tenantHeader?.toLowerCase() || undefined,
        active,
      },
      acceptsHost: Hosts.local({ names: options?.hosts, isOwn: isDotless }),
      cors: Cors.make(options?.origins, [...(options?.allowHeaders ?? []), options?.tenantHeader ?? ""]),
      nextId: RequestId.make((yield* Random.nextIntBetween(0, 2 ** 31)).toString(36)),
      stale: () => view.stale(),
      promise: Effect.runPromiseWith(context),
      app: HttpEffect.toWebHandlerWith(context)(
        routes as Effect.Effect<HttpServerResponse.HttpServerResponse, never, never>,
      ) as (request: Request) => Promise<Response>,
    }
    yield* Effect.addFinalizer(() =>
      Effect.andThen(
        router.drain,
        Effect.sync(() => {
          for (const exchange of active.snapshot()) exchange.leave()
        }),
      )
    )
    return { fetch: (request: Request, info?: unknown) => answer(parts, request, info), active: () => active.size }
    // As in `HttpRouter.toWebHandler`, only the type drops what routes need at request time.
  }) as unknown as Made<E, R>

/**
 * As `make`, but builds the layers as well. A module for `deno serve` exports it as its default. Requests that come
 * before the layers are built wait for them.
 *
 * @category constructors
 * @since 0.1.0
 */
export const toFetch = <A, E, R, RIn, EIn>(
  app: Layer.Layer<A, E, R>,
  services: Layer.Layer<RIn | Router, EIn>,
  options?: Options,
): WebHandler & Disposable => {
  const scope = Scope.makeUnsafe()
  const built = Effect.runPromise(
    Layer.buildWithScope(services, scope).pipe(
      Effect.flatMap((context) =>
        (make(app, options) as Effect.Effect<WebHandler, unknown, Scope.Scope>).pipe(
          Effect.provideContext(Context.add(context as Context.Context<never>, Scope.Scope, scope)),
        )
      ),
    ),
  )
  // A failed build rejects every request. It must not also end the process as an unhandled rejection.
  built.catch(() => {})
  let handler: WebHandler | undefined
  const ready = built.then((made) => (handler = made))
  ready.catch(() => {})
  let disposing: Promise<void> | undefined
  return {
    fetch: (request, info) =>
      handler === undefined ? ready.then((made) => made.fetch(request, info)) : handler.fetch(request, info),
    active: () => handler?.active() ?? 0,
    dispose: () => disposing ??= Effect.runPromise(Scope.close(scope, Exit.void)),
  }
}
