/**
 * Control calls to Ollama over HTTP.
 *
 * @since 0.1.0
 */
import { Duration, Effect, Layer, Result, Schema } from "effect"
import { HttpBody, HttpClient, type HttpClientError, HttpClientRequest } from "effect/http"
import type { Backend } from "../../services/Fleet.ts"
import {
  type LoadOptions,
  Malformed,
  OllamaApi,
  OllamaApiError,
  type OllamaApiError as OllamaApiErrorType,
  Rejected,
  Unreachable,
} from "../../services/OllamaApi.ts"
import * as Answers from "./ollamaAnswers.ts"

const parseJson = Schema.decodeUnknownEffect(Schema.fromJsonString(Schema.Unknown))

const describe = (error: HttpClientError.HttpClientError): string => {
  const { reason } = error
  const cause = "cause" in reason ? reason.cause : undefined
  // fetch hides what happened ("fetch failed") one level further down.
  const deeper = cause instanceof Error && cause.cause instanceof Error ? cause.cause : cause
  return deeper instanceof Error && deeper.message !== "" ? deeper.message : reason.message
}

/** The one body of every load and unload. */
const residencyBody = (model: string, keepAlive: number | undefined, numCtx: number | undefined) => ({
  model,
  ...(keepAlive === undefined ? {} : { keep_alive: keepAlive }),
  ...(numCtx === undefined ? {} : { options: { num_ctx: numCtx } }),
})

const make = Effect.fnUntraced(function* (timeout: Duration.Duration) {
  const client = yield* HttpClient.HttpClient

  const send = Effect.fnUntraced(
    function* (backend: Backend, call: string, request: HttpClientRequest.HttpClientRequest) {
      const fail = (reason: OllamaApiErrorType["reason"]) => new OllamaApiError({ backend: backend.id, call, reason })
      const unreachable = (error: HttpClientError.HttpClientError) =>
        fail(new Unreachable({ description: describe(error) }))
      const response = yield* Effect.mapError(client.execute(request), unreachable)
      const text = yield* Effect.mapError(response.text, unreachable)
      if (response.status < 200 || response.status > 299) {
        const description = Answers.errorText(response.status, text)
        return yield* fail(new Rejected({ status: response.status, description }))
      }
      return yield* Effect.mapError(
        parseJson(text),
        () => fail(new Malformed({ description: "the answer is not JSON" })),
      )
    },
  )

  const limited = <A>(backend: Backend, call: string, effect: Effect.Effect<A, OllamaApiErrorType>) =>
    Effect.timeoutOrElse(effect, {
      duration: timeout,
      orElse: () => {
        const description = `no answer within ${Duration.format(timeout)}`
        return Effect.fail(new OllamaApiError({ backend: backend.id, call, reason: new Unreachable({ description }) }))
      },
    })

  const read = <A>(
    backend: Backend,
    call: string,
    decode: (body: unknown) => Result.Result<A, string>,
    request: HttpClientRequest.HttpClientRequest,
  ) =>
    limited(
      backend,
      call,
      Effect.flatMap(send(backend, call, request), (body) =>
        Result.match(decode(body), {
          onSuccess: (value) => Effect.succeed(value),
          onFailure: (description) =>
            Effect.fail(new OllamaApiError({ backend: backend.id, call, reason: new Malformed({ description }) })),
        })),
    )

  const get = (backend: Backend, path: string) =>
    HttpClientRequest.get(`${backend.url}${path}`, { headers: { accept: "application/json" } })
  const post = (backend: Backend, path: string, body: unknown) =>
    HttpClientRequest.post(`${backend.url}${path}`, {
      headers: { accept: "application/json" },
      body: HttpBody.jsonUnsafe(body),
    })

  const embed = (backend: Backend, call: string, body: object) => send(backend, call, post(backend, "/api/embed", body))

  const residency = Effect.fnUntraced(
    function* (backend: Backend, call: "load" | "unload", embedder: boolean, body: { readonly model: string }) {
      if (embedder) return yield* embed(backend, call, body)
      const { model, ...options } = body
      return yield* send(backend, call, post(backend, "/api/generate", { model, stream: false, ...options })).pipe(
        // Servers before 0.33 do not list capabilities, so an embedder may be met unrecognised.
        Effect.catchIf(
          ({ reason }) =>
            reason._tag === "Rejected" && reason.status === 400 &&
            reason.description.includes("does not support generate"),
          () => embed(backend, call, body),
        ),
      )
    },
    Effect.asVoid,
  )

  return OllamaApi.of({
    version: Effect.fn("OllamaApi.version")((backend: Backend) =>
      read(backend, "version", Answers.version, get(backend, "/api/version"))
    ),
    tags: Effect.fn("OllamaApi.tags")((backend: Backend) =>
      read(backend, "tags", Answers.tags, get(backend, "/api/tags"))
    ),
    ps: Effect.fn("OllamaApi.ps")((backend: Backend) => read(backend, "ps", Answers.ps, get(backend, "/api/ps"))),
    show: Effect.fn("OllamaApi.show")((backend: Backend, model: string) =>
      read(backend, "show", Answers.show, post(backend, "/api/show", { model, verbose: true }))
    ),
    load: Effect.fn("OllamaApi.load")((backend: Backend, model: string, options: LoadOptions) =>
      residency(backend, "load", options.embedder, residencyBody(model, options.keepAlive, options.numCtx))
    ),
    unload: Effect.fn("OllamaApi.unload")(
      (backend: Backend, model: string, options: { readonly embedder: boolean }) =>
        limited(backend, "unload", residency(backend, "unload", options.embedder, residencyBody(model, 0, undefined))),
    ),
  })
})

/**
 * Control calls over whatever `HttpClient` the deployer provides.
 *
 * **Details**
 *
 * Unknown fields are ignored and missing ones made up for where that is safe, so that old and new servers can be mixed. No `Origin` is sent: Ollama
 * answers 403 to origins it does not know.
 *
 * **Gotchas**
 *
 * `load` has no limit here, since `Residency` bounds it, and Ollama sends nothing at all until the model is resident: the client must not have a short
 * limit for response headers of its own (undici's default, so `fetch` on Node, is 300 s).
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options?: {
  /** For each call but `load`. Defaults to 5 seconds. */
  readonly timeout?: Duration.Input | undefined
}): Layer.Layer<OllamaApi, never, HttpClient.HttpClient> =>
  Layer.effect(OllamaApi, make(Duration.fromInputUnsafe(options?.timeout ?? "5 seconds")))
