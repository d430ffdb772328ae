/**
 * A page that describes the admin API, made from its OpenAPI document.
 *
 * @since 0.1.0
 */
import { Effect, Layer } from "effect"
import { HttpRouter, HttpServerResponse } from "effect/http"
import { api } from "./AdminApi.ts"

/** The page is all in one file. A token that somebody types into it can go to this server only. */
const policy = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src 'self' data:; " +
  "font-src data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

type Page = Effect.Effect<HttpServerResponse.HttpServerResponse>

/** Swagger UI has 2 MB. It is loaded when somebody first asks for the page. */
const load = (http: HttpRouter.HttpRouter): Effect.Effect<Page> =>
  Effect.gen(function* () {
    const { layer } = yield* Effect.promise(() => import("effect/http-api/HttpApiSwagger"))
    let page: Page = Effect.succeed(HttpServerResponse.empty({ status: 404 }))
    // The layer adds one route to a router: this one takes the page from it.
    const taking = {
      ...http,
      add: (_method: string, _path: string, handler: unknown) => Effect.sync(() => void (page = handler as Page)),
    }
    yield* Effect.scoped(
      Layer.build(Layer.provide(layer(api), Layer.succeed(HttpRouter.HttpRouter, taking as HttpRouter.HttpRouter))),
    )
    return Effect.map(page, HttpServerResponse.setHeader("content-security-policy", policy))
  })

/**
 * `GET /admin/docs`: every path of the admin API, with a form to try it. It needs no token, and shows nothing of this
 * router; the calls that it makes need the token.
 *
 * **Details**
 *
 * The page loads nothing from other servers, and its content security policy keeps it from sending anything to them.
 * Merge the layer with `AdminRoutes`, which serves the calls.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<never, never, HttpRouter.HttpRouter> = /* @__PURE__ */ HttpRouter.use((http) =>
  Effect.flatMap(
    Effect.cached(load(http)),
    (page) => http.add("GET", "/admin/docs", Effect.flatten(page)),
  )
)
