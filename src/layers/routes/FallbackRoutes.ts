/**
 * Ollama's answer for a path that does not exist.
 *
 * @since 0.1.0
 */
import type { Layer } from "effect"
import { HttpRouter, HttpServerResponse } from "effect/http"

const notFound = HttpServerResponse.text("404 page not found", { status: 404, contentType: "text/plain" })

/**
 * 404 as plain text for every path without a route. Requests to inference paths never reach it, with any method: the
 * server's own listener takes them.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<never, never, HttpRouter.HttpRouter> = HttpRouter.use((router) =>
  router.addAll([HttpRouter.route<never, never>("*", "*", notFound)])
)
