/**
 * Ollama's calls that change the disk of a server or use its account. They are refused, unless a deployer adds routes
 * for them.
 *
 * @since 0.1.0
 */
import type { Layer } from "effect"
import { HttpRouter } from "effect/http"
import * as Respond from "./respond.ts"

const disk = "this router does not change what its backends have on disk"
const account = "accounts belong to one Ollama server, not to a fleet"
const cloud = "this router sends nothing to ollama.com"

/** Path, methods that Ollama has there, and why the call is refused. */
const refused: ReadonlyArray<readonly [HttpRouter.PathInput, ReadonlyArray<Respond.Method>, string]> = [
  ["/api/pull", ["POST"], `pull is not allowed: ${disk}; pull on a backend itself`],
  ["/api/push", ["POST"], `push is not allowed: ${disk}; push from a backend itself`],
  ["/api/create", ["POST"], `create is not allowed: ${disk}; create on a backend itself`],
  ["/api/copy", ["POST"], `copy is not allowed: ${disk}; copy on a backend itself`],
  ["/api/delete", ["DELETE"], `delete is not allowed: ${disk}; delete on a backend itself`],
  ["/api/blobs/:digest", ["HEAD", "POST"], `blobs are not allowed: ${disk}`],
  ["/api/me", ["POST"], `me is not allowed: ${account}`],
  ["/api/signout", ["POST"], `signout is not allowed: ${account}`],
  ["/api/user/keys/:key", ["DELETE"], `keys are not allowed: ${account}`],
  ["/api/experimental/web_search", ["POST"], `web_search is not allowed: ${cloud}`],
  ["/api/experimental/web_fetch", ["POST"], `web_fetch is not allowed: ${cloud}`],
  ["/api/experimental/model-recommendations", ["GET"], `model-recommendations is not allowed: ${cloud}`],
]

const refuse = (paths: typeof refused): Layer.Layer<never, never, HttpRouter.HttpRouter> =>
  HttpRouter.use((router) =>
    router.addAll(paths.flatMap(([path, methods, reason]) => Respond.on(methods, path, Respond.error(403, reason))))
  )

/**
 * 403 with a reason, in Ollama's shape.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<never, never, HttpRouter.HttpRouter> = refuse(refused)

/**
 * The same without `/api/pull`, for `PullRoutes` or a route of your own.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerWithoutPull: Layer.Layer<never, never, HttpRouter.HttpRouter> = refuse(
  refused.filter(([path]) => path !== "/api/pull"),
)
