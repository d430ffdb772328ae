/**
 * Ollama's answer for a path that does not exist.
 *
 * @since 0.1.0
 */
import type { Layer } from "effect"
import { HttpRouter } from "effect/http"
import * as Respond from "./respond.ts"

/**
 * 404 as plain text for every path without a route. Requests to inference paths never reach it, with any method, unless
 * their path ends in a slash: the server's own listener takes them.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<never, never, HttpRouter.HttpRouter> = HttpRouter.use((router) =>
  router.addAll([HttpRouter.route<never, never>("*", "*", Respond.pageNotFound)])
)
