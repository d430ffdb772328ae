/**
 * Makes the handler of an app's routes.
 *
 * @since 0.1.0
 */
import { Effect, type Layer } from "effect"
import { HttpRouter } from "effect/http"

/**
 * As `HttpRouter.toHttpEffect`, but upper and lower case differ in paths, as they do in Ollama. The caller's own
 * `RouterConfig` goes before.
 *
 * @internal
 */
export const toHttpEffect = <A, E, R>(app: Layer.Layer<A, E, R>) =>
  Effect.flatMap(
    HttpRouter.RouterConfig,
    (config) =>
      Effect.provideService(HttpRouter.toHttpEffect(app), HttpRouter.RouterConfig, { caseSensitive: true, ...config }),
  )
