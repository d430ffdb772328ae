/**
 * A page in the browser that shows the router live, for operators. It has no data of its own: it asks the admin API,
 * with the token that an operator types in.
 *
 * @since 0.1.0
 */
import { Effect, Layer } from "effect"
import { HttpRouter, HttpServerRequest, HttpServerResponse } from "effect/http"
import * as Files from "./page/files.ts"
import * as Respond from "./respond.ts"

/** Scripts and styles come from this router only, none is inline, and the page can call nothing else. */
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
  "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

/** FNV-1a of the text, for `ETag`: it tells versions apart and protects nothing. */
const tagOf = (text: string): string => {
  let hash = 0x811c9dc5
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193)
  return `"${(hash >>> 0).toString(36)}-${text.length.toString(36)}"`
}

type Page = Effect.Effect<HttpServerResponse.HttpServerResponse, never, HttpServerRequest.HttpServerRequest>

/** One file; 304 for a browser that has it already. */
const file = (text: string, contentType: string): Page => {
  const headers = {
    "cache-control": "no-cache",
    "content-security-policy": policy,
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    etag: tagOf(text),
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
  }
  const whole = HttpServerResponse.text(text, { contentType, headers })
  const known = HttpServerResponse.empty({ status: 304, headers })
  return Effect.map(
    HttpServerRequest.HttpServerRequest,
    (request) => request.headers["if-none-match"] === headers.etag ? known : whole,
  )
}

/** Whether a client wants a page: it names HTML. Clients of Ollama's API accept anything, or JSON. */
const wantsPage = ({ headers, method, url }: HttpServerRequest.HttpServerRequest): boolean =>
  (method === "GET" || method === "HEAD") && /^\/(\?|$)/.test(url) && /\btext\/html\b/.test(headers["accept"] ?? "")

const toPage = HttpServerResponse.redirect("/ui", {
  status: 302,
  headers: { "cache-control": "no-store", vary: "Accept" },
})

/**
 * `/ui`, and from `/` to it for browsers: those that accept `text/html`. All other clients get Ollama's answer on `/`.
 *
 * **Details**
 *
 * The page needs `AdminRoutes` beside it. It follows `/admin/events`, so it is never older than a second. It loads
 * nothing from other servers. The token stays in the tab.
 *
 * **Gotchas**
 *
 * With `KeyedRoutes`, `/ui` and `/ui/*` must be among its open paths, as they are by default: a browser sends no API
 * key. The files of the page hold nothing of this router.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<never, never, HttpRouter.HttpRouter> = HttpRouter.use(
  Effect.fnUntraced(function* (http) {
    yield* http.addGlobalMiddleware((handler) =>
      Effect.flatMap(
        HttpServerRequest.HttpServerRequest,
        (request) => wantsPage(request) ? Effect.succeed(toPage) : handler,
      )
    )
    yield* http.addAll([
      ...Respond.on(["HEAD", "GET"], "/ui", file(Files.html, "text/html; charset=utf-8")),
      ...Respond.on(["HEAD", "GET"], "/ui/page.css", file(Files.css, "text/css; charset=utf-8")),
      ...Respond.on(["HEAD", "GET"], "/ui/page.js", file(Files.script, "text/javascript; charset=utf-8")),
    ])
  }),
)

/**
 * `/ui` where no token is set: a page that says how to switch the status page on. `/` stays as it is for browsers, too.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerOff: Layer.Layer<never, never, HttpRouter.HttpRouter> = HttpRouter.use((http) =>
  http.addAll([
    ...Respond.on(["HEAD", "GET"], "/ui", file(Files.off, "text/html; charset=utf-8")),
    ...Respond.on(["HEAD", "GET"], "/ui/page.css", file(Files.css, "text/css; charset=utf-8")),
  ])
)
