/**
 * Marks the answers of a router in front of a simulated fleet: `X-Llamero-Simulated: 1`. So nobody takes them for those
 * of a model.
 *
 * @since 0.1.0
 */
import { Effect, type Layer } from "effect"
import { HttpEffect, HttpRouter, HttpServerResponse } from "effect/http"
import type { Guard } from "../services/Plugin.ts"

const headers = ["X-Llamero-Simulated", "1"] as const

/**
 * Marks the answers to inference requests. Put it first among the guards: then refusals are marked, too.
 *
 * @category values
 * @since 0.1.0
 */
export const guard: Guard = {
  kind: "guard",
  name: "simulated-mark",
  check: (request) => ({ _tag: "Pass", request, headers }),
}

/** Marks the answers of all other routes. Merge it with the routes. @category layers @since 0.1.0 */
export const layer: Layer.Layer<never, never, HttpRouter.HttpRouter> = HttpRouter.use((router) =>
  router.addGlobalMiddleware((handler) =>
    HttpEffect.withPreResponseHandler(
      handler,
      (_request, response) => Effect.succeed(HttpServerResponse.setHeader(response, ...headers)),
    )
  )
)
