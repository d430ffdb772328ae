/**
 * `/api/pull` for the models on a list. Clients that ask for the same model share one pull on each backend.
 *
 * @since 0.1.0
 */
import { ByteSize, Cause, Duration, Effect, Exit, FiberSet, type Layer, Option, Stream } from "effect"
import { HttpRouter, HttpServerResponse } from "effect/http"
import { CurrentGrant, notFor, permits } from "../../services/ApiKeys.ts"
import type { BackendHealth } from "../../services/BackendHealth.ts"
import type { Backend, Fleet } from "../../services/Fleet.ts"
import { ModelCatalog } from "../../services/ModelCatalog.ts"
import * as ModelName from "../../services/ModelName.ts"
import { Transport } from "../../services/Transport.ts"
import * as Fanout from "./fanout.ts"
import * as Named from "./bodyWithModel.ts"
import { Pull, PullError, send } from "./ModelPull.ts"
import * as Allowed from "./pulls/allowed.ts"
import * as Watch from "./pulls/watch.ts"
import * as Respond from "./respond.ts"

export { isPattern } from "./pulls/allowed.ts"

/** @category models @since 0.1.0 */
export interface Options {
  /**
   * The models that may be pulled: names (`llama3.1:8b`), and prefixes with a `*`. The `*` stands for anything without
   * a `/` (`qwen3*`; `*` alone is Ollama's own library), or for everything after a `/` (`hf.co/*`). Any other text is a
   * `RangeError`.
   */
  readonly allowed: ReadonlyArray<string>
  /** Which backends pull a model, given its canonical name. Defaults to all. */
  readonly backends?: ((backend: Backend, model: string) => boolean) | undefined
  /** Longest time of one pull on one backend. Defaults to 6 hours. */
  readonly timeLimit?: Duration.Input | undefined
}

/** A body is a name and a few options. */
const bodyLimit = ByteSize.kibibytes(64)
/** Pulls under way at one time. Where the list has a `*`, clients choose the names. */
const pullsMax = 256
/** A client that reads "success" should find the model, but must not wait for a dead backend. */
const refreshMax = Duration.seconds(5)

/** The pulls under way. They run in the scope of the layer, so that no client ends one by leaving. */
const makePulls = Effect.fnUntraced(function* (limit: Duration.Duration) {
  const catalog = yield* ModelCatalog
  const transport = yield* Transport
  const run = yield* FiberSet.makeRuntime()
  const underWay = new Map<string, Pull>()

  const work = (pull: Pull, model: string) =>
    send(transport, pull, model, limit).pipe(
      Effect.andThen(Effect.timeoutOption(catalog.refresh, refreshMax)),
      Effect.tap(Effect.logInfo("model pulled")),
      Effect.tapError(({ description }) => Effect.logWarning(`model not pulled: ${description}`)),
      Effect.annotateLogs({ model, backend: pull.backend.id }),
    )
  const keyOf = (backend: Backend, model: string) => `${backend.id} ${ModelName.canonical(model)}`
  /** Whether a pull on these backends needs no more than there may be. */
  const fits = (backends: ReadonlyArray<Backend>, model: string): boolean => {
    const more = backends.filter((backend) => !underWay.has(keyOf(backend, model))).length
    return more === 0 || underWay.size === 0 || underWay.size + more <= pullsMax
  }
  const start = (backend: Backend, model: string): Pull => {
    const key = keyOf(backend, model)
    const other = underWay.get(key)
    if (other !== undefined) return other
    const pull = new Pull(backend)
    const stopped = new PullError({ backend: backend.id, description: "the pull was stopped" })
    underWay.set(key, pull)
    run(Effect.onExit(work(pull, model), (exit) =>
      Effect.sync(() => {
        underWay.delete(key)
        const why = Exit.isSuccess(exit)
          ? undefined
          : Option.getOrElse(Cause.findErrorOption(exit.cause), () => stopped)
        pull.finish(why === undefined ? Effect.void : Effect.fail(why))
      })))
    return pull
  }
  return { fits, start }
})

const tooMany = HttpServerResponse.setHeader(
  Respond.error(503, "too many pulls are under way, try again later"),
  "Retry-After",
  "60",
)

const answer = (pulls: ReadonlyArray<Pull>, streamed: boolean) =>
  streamed
    ? Effect.succeed(
      HttpServerResponse.stream(Stream.encodeText(Watch.records(pulls)), { contentType: "application/x-ndjson" }),
    )
    // As Ollama does it, without a charset.
    : Effect.map(
      Watch.ending(pulls),
      (end) => Respond.json(Watch.last(end), end === undefined ? 200 : 500, "application/json"),
    )

/**
 * Merge it with `ManagementRoutes.layerWithoutPull`, as `OllamaApp.layer({ pulls })` does.
 *
 * **Details**
 *
 * - Every active backend that is not known to be unhealthy pulls, all at the same time, unless `backends` says
 *   otherwise. A backend that has the model updates it.
 * - Clients get Ollama's own records: of each step the record of the backend that is least far, and `success` when all
 *   backends have the model. A client that comes later joins the pull and sees how far it is.
 * - A client that leaves does not end a pull, even if it is the last one. A pull ends when it is done, at its time
 *   limit, or with the router.
 * - An error has Ollama's shape: a record with `error`, or a 500 with `"stream": false`. Where some backends succeeded,
 *   it names the ones that did not.
 * - 503 with `Retry-After` when 256 pulls are under way, counted on each backend.
 * - At the end the catalog is read again. 403 for a model that is not on the list, or that the caller's key is not for;
 *   503 where no backend can be asked.
 *
 * **Gotchas**
 *
 * Only the model and `stream` of the body are used: `insecure` and credentials are not passed on.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (
  options: Options,
): Layer.Layer<never, never, HttpRouter.HttpRouter | BackendHealth | Fleet | ModelCatalog | Transport> => {
  const isAllowed = Allowed.make(options.allowed)
  return HttpRouter.use(Effect.fnUntraced(function* (router) {
    const limit = Duration.fromInputUnsafe(options.timeLimit ?? "6 hours")
    const catalog = yield* ModelCatalog
    const pulls = yield* makePulls(limit)
    const { backends } = yield* Fanout.make(limit)
    const pull = Named.answer(
      bodyLimit,
      Effect.fnUntraced(function* (body) {
        const field = Named.fields(body)
        const spelled = Named.model(field)
        const problem = spelled.trim() === "" ? undefined : ModelName.problem(spelled)
        if (problem !== undefined) return Respond.error(400, problem)
        const name = Allowed.nameOf(spelled)
        if (name === undefined) return Respond.error(400, "invalid model name")
        if (!isAllowed(name)) {
          const why = `pull of '${name}' is not allowed`
          const isMissing = yield* Named.isMissing(catalog, name)
          return Respond.error(403, isMissing ? `model '${name}' not found, and ${why}` : why)
        }
        if (!permits(yield* CurrentGrant, name)) return Respond.error(403, notFor(name))
        const model = ModelName.canonical(name)
        const chosen = backends().filter((backend) => options.backends?.(backend, model) ?? true)
        if (chosen.length === 0) return Respond.unreachable()
        if (!pulls.fits(chosen, name)) return tooMany
        return yield* answer(chosen.map((backend) => pulls.start(backend, name)), field("stream") !== false)
      }),
    )
    yield* router.addAll(Respond.on(["POST"], "/api/pull", pull))
  }))
}
