/**
 * Asks for API keys on all routes that are not inference: lists, models, health, metrics, and the routes that a
 * deployer adds.
 *
 * @since 0.1.0
 */
import { Effect, type Layer } from "effect"
import { HttpRouter, HttpServerRequest } from "effect/http"
import { ApiKeys, CurrentGrant, invalid, missing, noLocalKey, presented } from "../../services/ApiKeys.ts"
import * as LocalRequests from "../../support/localRequests.ts"
import * as Respond from "./respond.ts"

const pathOf = (url: string): string => {
  const query = url.indexOf("?")
  return query < 0 ? url : url.slice(0, query)
}

const opens = (paths: ReadonlyArray<string>) => {
  const exact = new Set(paths)
  const below = paths.filter((path) => path.endsWith("/*")).map((path) => path.slice(0, -1))
  return (path: string): boolean => exact.has(path) || below.some((start) => path.startsWith(start))
}

/**
 * Merge it with the routes. Every path needs a valid key, except the paths in `open`. So a new route is closed by
 * default.
 *
 * **Gotchas**
 *
 * It does not see inference requests: those need `ApiKeyGuard`. The routes find the grant of the key in `CurrentGrant`.
 * A key for some models sees only these models in lists, and gets 403 for others. Health and metrics show the whole
 * router to every key.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options?: {
  /**
   * Paths that need no key, exactly as written; with `/*` at the end, all paths below. Defaults to `/livez` and
   * `/readyz`, which only say yes or no, to `/admin/*`, which has a token of its own, and to `/ui` and `/ui/*`, which
   * have nothing of this router.
   */
  readonly open?: ReadonlyArray<string> | undefined
  /** As `local` of `ApiKeyGuard`: give both the same. Defaults to none. */
  readonly local?: string | undefined
}): Layer.Layer<never, never, HttpRouter.HttpRouter | ApiKeys> => {
  const open = opens(options?.open ?? ["/livez", "/readyz", "/admin/*", "/ui", "/ui/*"])
  const local = options?.local
  return HttpRouter.use(Effect.fnUntraced(function* (router) {
    const keys = yield* ApiKeys
    yield* router.addGlobalMiddleware((handler) =>
      Effect.flatMap(HttpServerRequest.HttpServerRequest, ({ headers, source, url }) => {
        const path = pathOf(url)
        if (open(path)) return handler
        const key = presented((name) => headers[name])
        const isLocal = key === "" && local !== undefined && LocalRequests.isLocal(source)
        const grant = isLocal ? keys.named(local) : key === "" ? undefined : keys.find(key)
        if (grant !== undefined) return Effect.provideService(handler, CurrentGrant, grant)
        const answer = path.startsWith("/v1/") ? Respond.errorOpenAi : Respond.error
        return Effect.succeed(answer(401, isLocal ? noLocalKey : key === "" ? missing : invalid))
      })
    )
  }))
}
