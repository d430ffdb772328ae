/**
 * Ollama's calls that change the disk of a server or use its account. They are refused, unless a deployer adds routes
 * for them.
 *
 * @since 0.1.0
 */
import { ByteSize, Effect, Layer, Option } from "effect"
import { HttpRouter, type HttpServerRequest, type HttpServerResponse } from "effect/http"
import { ModelCatalog } from "../../services/ModelCatalog.ts"
import * as ModelName from "../../services/ModelName.ts"
import * as Named from "./bodyWithModel.ts"
import * as Respond from "./respond.ts"

const disk = "this router does not change what its backends have on disk"
const account = "accounts of ollama.com belong to one Ollama server, not to a fleet"
const cloud = "this router sends nothing to ollama.com"

/**
 * Path, methods that Ollama has there, and why the call is refused. The `ollama` command shows the sentence to people:
 * `ollama push` and `ollama signin` both call `/api/me` first.
 */
const refused: ReadonlyArray<readonly [HttpRouter.PathInput, ReadonlyArray<Respond.Method>, string]> = [
  ["/api/push", ["POST"], `push is not allowed: ${disk}; push from a backend itself`],
  ["/api/create", ["POST"], `create is not allowed: ${disk}; create on a backend itself`],
  ["/api/copy", ["POST"], `copy is not allowed: ${disk}; copy on a backend itself`],
  ["/api/delete", ["DELETE"], `delete is not allowed: ${disk}; delete on a backend itself`],
  ["/api/blobs/:digest", ["HEAD", "POST"], `upload of blobs is not allowed: ${disk}`],
  ["/api/me", ["POST"], `signing in is not allowed: ${account}; sign in, and push, on a backend itself`],
  ["/api/signout", ["POST"], `signing out is not allowed: ${account}; sign out on a backend itself`],
  ["/api/user/keys/:key", ["DELETE"], `removing keys is not allowed: ${account}`],
  ["/api/experimental/web_search", ["POST"], `web search is not allowed: ${cloud}`],
  ["/api/experimental/web_fetch", ["POST"], `web fetch is not allowed: ${cloud}`],
  ["/api/experimental/model-recommendations", ["GET"], `asking for recommendations is not allowed: ${cloud}`],
]

/**
 * 403 with a reason, in Ollama's shape, for all calls but `/api/pull`: for `PullRoutes` or a route of your own.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerWithoutPull: Layer.Layer<never, never, HttpRouter.HttpRouter> = HttpRouter.use((router) =>
  router.addAll(refused.flatMap(([path, methods, reason]) => Respond.on(methods, path, Respond.error(403, reason))))
)

const noPull = `pull is not allowed: ${disk}; pull on a backend itself`
const pullLimit = ByteSize.kibibytes(64)

/** `ollama run` asks for a pull when a model is nowhere, and shows this answer: it has to say what is wrong. */
const pull = Effect.fnUntraced(function* (
  catalog: Option.Option<ModelCatalog["Service"]>,
  body: string,
): Effect.fn.Return<HttpServerResponse.HttpServerResponse> {
  const name = Named.model(Named.fields(body))
  if (name.trim() === "") return Respond.error(403, noPull)
  const problem = ModelName.problem(name)
  if (problem !== undefined) return Respond.error(400, problem)
  const isMissing = Option.isSome(catalog) && (yield* Named.isMissing(catalog.value, name))
  return Respond.error(403, isMissing ? `model '${name}' not found, and ${noPull}` : noPull)
})

/**
 * As `layerWithoutPull`, and the same for `/api/pull`. Where there is a `ModelCatalog`, the answer to a pull says
 * whether no backend has the model.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<never, never, HttpRouter.HttpRouter> = Layer.merge(
  layerWithoutPull,
  HttpRouter.use(Effect.fnUntraced(function* (router) {
    const catalog = yield* Effect.serviceOption(ModelCatalog)
    const answer: Effect.Effect<
      HttpServerResponse.HttpServerResponse,
      never,
      HttpServerRequest.HttpServerRequest
    > = Named.answer(pullLimit, (body) => pull(catalog, body))
    yield* router.addAll(Respond.on(["POST"], "/api/pull", answer))
  })),
)
