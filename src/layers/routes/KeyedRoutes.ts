/**
 * API keys for everything that is not inference: lists, models, health, metrics, and whatever routes a deployer adds.
 *
 * @since 0.1.0
 */
import { Effect, type Layer } from "effect"
import { HttpRouter, HttpServerRequest } from "effect/http"
import { ApiKeys, CurrentGrant, invalid, missing, presented } from "../../services/ApiKeys.ts"
import * as Respond from "./respond.ts"

const pathOf = (url: string): string => {
  const query = url.indexOf("?")
  return query < 0 ? url : url.slice(0, query)
}

/**
 * Merge it with the routes. Every path needs a valid key but those named: a path that nobody has thought of is closed.
 *
 * **Gotchas**
 *
 * Inference does not come this way: it needs `ApiKeyGuard`. The routes find the key's grant in `CurrentGrant`: a key for some models sees only these in lists, and
 * is told 403 of others. Health and metrics are of the whole router, whoever asks.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options?: {
  /**
   * Paths that need no key, exactly as written. Defaults to `/livez` and `/readyz`, which say yes or no and cost little,
   * and to `/admin/queues` and `/admin/decisions`, which have a token of their own.
   */
  readonly open?: ReadonlyArray<string> | undefined
}): Layer.Layer<never, never, HttpRouter.HttpRouter | ApiKeys> => {
  const open = new Set(options?.open ?? ["/livez", "/readyz", "/admin/queues", "/admin/decisions"])
  return HttpRouter.use(Effect.fnUntraced(function* (router) {
    const keys = yield* ApiKeys
    yield* router.addGlobalMiddleware((handler) =>
      Effect.flatMap(HttpServerRequest.HttpServerRequest, ({ headers, url }) => {
        const path = pathOf(url)
        if (open.has(path)) return handler
        const key = presented((name) => headers[name])
        const grant = key === "" ? undefined : keys.find(key)
        if (grant !== undefined) return Effect.provideService(handler, CurrentGrant, grant)
        const answer = path.startsWith("/v1/") ? Respond.errorOpenAi : Respond.error
        return Effect.succeed(answer(401, key === "" ? missing : invalid))
      })
    )
  }))
}
