/**
 * What Ollama says where nothing is: wrong methods on inference paths, and paths that do not exist.
 *
 * @since 0.1.0
 */
import type { Layer } from "effect"
import { HttpRouter, HttpServerResponse } from "effect/http"
import { endpoints } from "./edge/endpoints.ts"
import * as Respond from "./routes/respond.ts"

const notFound = HttpServerResponse.text("404 page not found", { status: 404, contentType: "text/plain" })

/**
 * 405 for an inference path called with anything but `POST` (those calls never come this far: the server's listener takes them), 404 as plain text for every
 * path that no other route has.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<never, never, HttpRouter.HttpRouter> = HttpRouter.use((router) =>
  router.addAll([
    ...endpoints.flatMap(({ path }) => Respond.on(["POST"], path as HttpRouter.PathInput, notFound)),
    HttpRouter.route<never, never>("*", "*", notFound),
  ])
)
