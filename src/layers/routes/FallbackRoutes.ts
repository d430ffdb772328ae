/**
 * What Ollama says where nothing is.
 *
 * @since 0.1.0
 */
import type { Layer } from "effect"
import { HttpRouter, HttpServerResponse } from "effect/http"

const notFound = HttpServerResponse.text("404 page not found", { status: 404, contentType: "text/plain" })

/**
 * 404 as plain text for every path that no other route has. Inference paths never come this far, whatever the method: the listener takes them.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<never, never, HttpRouter.HttpRouter> = HttpRouter.use((router) =>
  router.addAll([HttpRouter.route<never, never>("*", "*", notFound)])
)
