/**
 * `/api/pull` for models on a list: each is pulled once on each backend at a time, whoever asked.
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
import * as Named from "./named.ts"
import * as Allowed from "./pulls/allowed.ts"
import { Pull, PullError, send } from "./pulls/pull.ts"
import * as Watch from "./pulls/watch.ts"
import * as Respond from "./respond.ts"

export { isPattern } from "./pulls/allowed.ts"

/** @category models @since 0.1.0 */
export interface Options {
  /**
   * What may be pulled: names (`llama3.1:8b`), and beginnings with a `*`, which stands for anything without a `/` (`qwen3*`; `*` alone: Ollama's own library), or
   * for everything where it is behind one (`hf.co/*`). A `RangeError` where one is neither.
   */
  readonly allowed: ReadonlyArray<string>
  /** Which backends pull a model, by its canonical name. Defaults to all. */
  readonly backends?: ((backend: Backend, model: string) => boolean) | undefined
  /** Longest time for one pull on one backend. Defaults to 6 hours. */
  readonly timeLimit?: Duration.Input | undefined
}

/** A name and a few options. */
const bodyLimit = ByteSize.kibibytes(64)
/** Whoever is told of success should find the model, but not wait for a backend that is dead. */
const refreshMax = Duration.seconds(5)

/** The pulls under way: in the scope of the layer, so that nobody's leaving ends one. */
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
  return (backend: Backend, model: string): Pull => {
    const key = `${backend.id} ${ModelName.canonical(model)}`
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
})

const answer = (pulls: ReadonlyArray<Pull>, streamed: boolean) =>
  streamed
    ? Effect.succeed(
      HttpServerResponse.stream(Stream.encodeText(Watch.records(pulls)), { contentType: "application/x-ndjson" }),
    )
    : Effect.map(Watch.ending(pulls), (end) => Respond.json(Watch.last(end), end === undefined ? 200 : 500))

/**
 * Put it beside `ManagementRoutes.layerWithoutPull`; `OllamaApp.layer({ pulls })` does.
 *
 * **Details**
 *
 * - Every active backend that is not known to be unhealthy pulls, all at once, unless `backends` says otherwise. One that has the model already brings it up to date.
 * - Clients get Ollama's own records, of each step those of the backend that is least far, and `success` when all have it. Whoever comes later joins, and sees
 *   how far it is.
 * - A client that leaves, even the last one, ends nothing: the pull goes on until its end, its time limit, or the end of the router.
 * - What fails comes as Ollama says it: a record with an `error`, or with `"stream": false` a 500. Where some backends have succeeded it says which have not.
 * - At the end the catalog is read again. 403 for a model that is not on the list, or that the caller's key is not for; 503 where no backend can be asked.
 *
 * **Gotchas**
 *
 * Of the body only the model and `stream` count: `insecure` and credentials are not passed on.
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
    const pullOn = yield* makePulls(limit)
    const { backends } = yield* Fanout.make(limit)
    const pull = Named.answer(
      bodyLimit,
      Effect.fnUntraced(function* (body) {
        const field = Named.fields(body)
        const name = Allowed.nameOf(Named.model(field))
        if (name === undefined) return Respond.error(400, "invalid model name")
        if (!isAllowed(name)) return Respond.error(403, `pull of '${name}' is not allowed`)
        if (!permits(yield* CurrentGrant, name)) return Respond.error(403, notFor(name))
        const model = ModelName.canonical(name)
        const chosen = backends().filter((backend) => options.backends?.(backend, model) ?? true)
        if (chosen.length === 0) return Respond.unreachable()
        return yield* answer(chosen.map((backend) => pullOn(backend, name)), field("stream") !== false)
      }),
    )
    yield* router.addAll(Respond.on(["POST"], "/api/pull", pull))
  }))
}
