/**
 * The same pipeline behind a web `fetch` handler: `deno serve`, and serverless hosts.
 *
 * @since 0.1.0
 */
import { Clock, Context, Effect, Exit, Fiber, Layer, Random, Scope } from "effect"
import { HttpEffect, HttpRouter, type HttpServerResponse } from "effect/http"
import { refuse } from "../../services/Refusal.ts"
import type { Endpoint } from "../../services/RoutedRequest.ts"
import { Router, type Settled } from "../../services/Router.ts"
import { ViewRefresh } from "../../services/ViewRefresh.ts"
import { Bag, type Slotted } from "../../support/bag.ts"
import { find } from "../../wire/endpoints.ts"
import * as Edge from "../../wire/request.ts"
import * as Cors from "./cors.ts"
import { decode, isPlain } from "./decode.ts"
import { GenerateV1Reply } from "./generateV1.ts"
import * as RequestId from "./requestId.ts"
import { readWebBody } from "./webBody.ts"
import { WebReply } from "./WebReply.ts"

/** @category models @since 0.1.0 */
export interface Options {
  /** Largest body, decoded, in bytes. Defaults to 64 MiB. */
  readonly bodyBytesMax?: number | undefined
  /** Origins allowed besides Ollama's built-in ones; `*` for all. Defaults to none. */
  readonly origins?: ReadonlyArray<string> | undefined
  /**
   * Header that says whose request it is, for fair queues; `undefined` or empty for one tenant. For whoever in front can be trusted to set it: never one that
   * holds a secret, since tenants are named in events. Defaults to none.
   */
  readonly tenantHeader?: string | undefined
}

/** What a host calls. @category models @since 0.1.0 */
export interface WebHandler {
  readonly fetch: (request: Request) => Promise<Response>
  /** Inference requests under way. */
  readonly active: () => number
}

/** Ends everything that `toFetch` built. @category models @since 0.1.0 */
export interface Disposable {
  readonly dispose: () => Promise<void>
}

const rawOf = (headers: Headers): Array<string> => {
  const raw: Array<string> = []
  headers.forEach((value, name) => raw.push(name, value))
  return raw
}

/** The path of a URL, and its query, without making a `URL`. */
const targetOf = (url: string): string => {
  const slash = url.indexOf("/", url.indexOf("://") + 3)
  return slash < 0 ? "/" : url.slice(slash)
}

/** Who was called: some hosts keep `Host` to themselves, and have it in the URL alone. */
const hostOf = (url: string): string => {
  const from = url.indexOf("://") + 3
  const end = url.indexOf("/", from)
  return end < 0 ? url.slice(from) : url.slice(from, end)
}

const withHeaders = (response: Response, raw: ReadonlyArray<string>): Response => {
  const headers = new Headers(response.headers)
  for (let i = 0; i + 1 < raw.length; i += 2) headers.append(raw[i]!, raw[i + 1]!)
  return new Response(response.body, { status: response.status, statusText: response.statusText, headers })
}

const pairs = (raw: ReadonlyArray<string>): Array<[string, string]> =>
  raw.flatMap((name, i) => i % 2 === 0 ? [[name, raw[i + 1]!] as [string, string]] : [])

/** One inference request. */
class WebExchange implements Slotted {
  slot = -1
  readonly reply: WebReply
  private fiber: Fiber.Fiber<Settled> | undefined = undefined
  private over = false
  private readonly onEnd: (exchange: WebExchange) => void

  constructor(
    endpoint: Endpoint,
    id: string,
    cors: ReadonlyArray<string>,
    clock: Clock.Clock,
    onEnd: (exchange: WebExchange) => void,
  ) {
    this.reply = new WebReply(endpoint, id, cors, clock, () => this.left())
    this.onEnd = onEnd
  }

  /** A fault of our own: the client must not wait for ever. */
  fail(): void {
    this.reply.refuse(refuse("Internal", "internal error in the router"))
    this.end()
  }

  run(fiber: Fiber.Fiber<Settled>): void {
    this.fiber = fiber
    if (this.over) fiber.interruptUnsafe()
    fiber.addObserver(() => {
      if (!this.reply.closed) this.reply.refuse(refuse("Internal", "internal error in the router"))
      this.end()
    })
  }

  left(): void {
    if (this.over) return
    this.reply.leave()
    const fiber = this.fiber
    if (fiber === undefined) this.end()
    else fiber.interruptUnsafe()
  }

  end(): void {
    if (this.over) return
    this.over = true
    this.fiber = undefined
    this.onEnd(this)
  }
}

/**
 * A handler of an app: what it needs and how making it fails.
 *
 * @category models
 * @since 0.1.0
 */
export type Made<E, R> = Effect.Effect<
  WebHandler,
  HttpRouter.Request.Without<E>,
  Router | Scope.Scope | Exclude<HttpRouter.Request.Without<R>, HttpRouter.HttpRouter>
>

/**
 * A handler over the router and app of the caller's scope. Routes are forked into that scope: a `Response` outlives its handler.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = <A, E, R>(app: Layer.Layer<A, E, R>, options?: Options): Made<E, R> =>
  Effect.gen(function* () {
    const routes = yield* HttpRouter.toHttpEffect(app)
    const context = yield* Effect.context<never>()
    const clock = yield* Clock.Clock
    const router = yield* Router
    const view = yield* ViewRefresh
    const cors = Cors.make(options?.origins)
    const tenantHeader = options?.tenantHeader?.toLowerCase() || undefined
    const limit = options?.bodyBytesMax ?? 64 * 1024 * 1024
    const nextId = RequestId.make((yield* Random.nextIntBetween(0, 2 ** 31)).toString(36))
    const fork = Effect.runForkWith(context)
    const promise = Effect.runPromiseWith(context)
    const active = new Bag<WebExchange>()
    const other = HttpEffect.toWebHandlerWith(context)(
      routes as Effect.Effect<HttpServerResponse.HttpServerResponse, never, never>,
    ) as (request: Request) => Promise<Response>
    yield* Effect.addFinalizer(() =>
      Effect.andThen(
        router.drain,
        Effect.sync(() => {
          for (const exchange of active.snapshot()) exchange.left()
        }),
      )
    )

    const inference = async (
      request: Request,
      endpoint: Endpoint,
      raw: ReadonlyArray<string>,
      headers: Edge.RequestHeaders,
      exchange: WebExchange,
    ): Promise<void> => {
      const { reply } = exchange
      const read = await readWebBody(request, limit, headers.contentLength)
      const body = "_tag" in read || isPlain(headers.contentEncoding)
        ? read
        : await decode(headers.contentEncoding, read, limit)
      if (reply.closed) return
      const made = "_tag" in body
        ? body
        : Edge.make(reply.id, endpoint, raw, headers, body, clock.currentTimeMillisUnsafe(), tenantHeader)
      if ("_tag" in made) {
        reply.refuse(made)
        return exchange.end()
      }
      const streams = Edge.streams(made)
      reply.describe(made.envelope.model, streams)
      exchange.run(
        fork(router.route(made, endpoint.dialect === "generate-v1" ? new GenerateV1Reply(reply, streams) : reply)),
      )
    }

    const handle = async (request: Request): Promise<Response> => {
      const raw = rawOf(request.headers)
      const headers = Edge.readHeaders(raw)
      const id = nextId(headers.requestId)
      const allowed = headers.origin === undefined
        ? undefined
        : cors.decide(headers.origin, headers.host ?? hostOf(request.url), request.method)
      const extra = allowed?.headers ?? []
      if (allowed?.status !== undefined) {
        return new Response(null, { status: allowed.status, headers: pairs([...extra, "X-Request-Id", id]) })
      }
      const stale = view.stale()
      if (stale !== undefined) await promise(stale)
      const endpoint = find(targetOf(request.url))
      if (endpoint === undefined) return withHeaders(await other(request), ["X-Request-Id", id, ...extra])
      if (request.method !== "POST") {
        const fixed = ["Allow", "POST", "Content-Type", "text/plain", "X-Request-Id", id, ...extra]
        return new Response("405 method not allowed", { status: 405, headers: pairs(fixed) })
      }
      const exchange = new WebExchange(endpoint, id, extra, clock, (ended) => {
        request.signal.removeEventListener("abort", onAbort)
        active.remove(ended)
      })
      const onAbort = () => exchange.left()
      active.add(exchange)
      request.signal.addEventListener("abort", onAbort)
      if (request.signal.aborted) onAbort()
      else inference(request, endpoint, raw, headers, exchange).catch(() => exchange.fail())
      return exchange.reply.response
    }
    return { fetch: handle, active: () => active.size }
    // What routes ask for at request time is stripped here as `HttpRouter.toWebHandler` does it: by type only.
  }) as unknown as Made<E, R>

/**
 * As `make`, with everything built at once: what a module exports as its default for `deno serve`.
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
  // A failed build rejects every request; by itself it must not end the process.
  built.catch(() => {})
  let handler: WebHandler | undefined
  const ready = built.then((made) => (handler = made))
  ready.catch(() => {})
  let disposing: Promise<void> | undefined
  return {
    fetch: (request) => handler === undefined ? ready.then((made) => made.fetch(request)) : handler.fetch(request),
    active: () => handler?.active() ?? 0,
    dispose: () => disposing ??= Effect.runPromise(Scope.close(scope, Exit.void)),
  }
}
