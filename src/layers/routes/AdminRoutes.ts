/**
 * Routes for operators, behind a token.
 *
 * @since 0.1.0
 */
import { Effect, Layer, Redacted } from "effect"
import { HttpRouter, HttpServerRequest, HttpServerResponse } from "effect/http"
import { Admission, type QueueSnapshot } from "../../services/Admission.ts"
import { bearer } from "./bearer.ts"
import * as Respond from "./respond.ts"

const seconds = (millis: number): number => Math.round(millis) / 1000

const shown = ({ bytes, classes, depth, model, oldestMillis, tenants, waitMillis }: QueueSnapshot) => ({
  model,
  depth,
  bytes,
  oldest_seconds: seconds(oldestMillis),
  estimated_wait_seconds: seconds(waitMillis),
  classes,
  tenants,
})

const unstored = (response: HttpServerResponse.HttpServerResponse) =>
  HttpServerResponse.setHeader(response, "cache-control", "no-store")

/**
 * **Details**
 *
 * `GET /admin/queues` with `Authorization: Bearer TOKEN` lists the queues that are not empty:
 * `{"queues":[{"model","depth","bytes","oldest_seconds","estimated_wait_seconds",
 * "classes":{"interactive","default","batch"},"tenants":[{"tenant","depth"}]}]}`. 401 without the token.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: {
  /** Must not be empty. */
  readonly token: Redacted.Redacted<string>
}): Layer.Layer<never, never, HttpRouter.HttpRouter | Admission> => {
  const allowed = bearer(Redacted.value(options.token))
  return HttpRouter.use(Effect.fnUntraced(function* (http) {
    const admission = yield* Admission
    const queues = HttpServerRequest.HttpServerRequest.use((request) =>
      Effect.sync(() =>
        unstored(
          allowed(request.headers["authorization"])
            ? Respond.json(JSON.stringify({ queues: admission.queues().map(shown) }))
            : Respond.error(401, "a token is needed"),
        )
      )
    )
    yield* http.addAll(Respond.on(["HEAD", "GET"], "/admin/queues", queues))
  }))
}
