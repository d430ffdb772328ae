/**
 * Sends control calls and turns every failure into an `OllamaApiError`.
 *
 * @since 0.1.0
 */
import { Duration, Effect, Result, Schema } from "effect"
import { HttpBody, type HttpClient, type HttpClientError, HttpClientRequest } from "effect/http"
import type { Backend } from "../../services/Fleet.ts"
import { Malformed, OllamaApiError, Rejected, Unreachable } from "../../services/OllamaApi.ts"
import * as Answers from "./ollamaAnswers.ts"

const parseJson = Schema.decodeUnknownEffect(Schema.fromJsonString(Schema.Unknown))

const describe = (error: HttpClientError.HttpClientError): string => {
  const { reason } = error
  const cause = "cause" in reason ? reason.cause : undefined
  // The cause of an error of `fetch` says only "fetch failed"; the cause of that one says why.
  const deeper = cause instanceof Error && cause.cause instanceof Error ? cause.cause : cause
  return deeper instanceof Error && deeper.message !== "" ? deeper.message : reason.message
}

/** @internal */
export const get = (backend: Backend, path: string): HttpClientRequest.HttpClientRequest =>
  HttpClientRequest.get(`${backend.url}${path}`, { headers: { accept: "application/json" } })

/** @internal */
export const post = (backend: Backend, path: string, body: unknown): HttpClientRequest.HttpClientRequest =>
  HttpClientRequest.post(`${backend.url}${path}`, {
    headers: { accept: "application/json" },
    body: HttpBody.jsonUnsafe(body),
  })

/** `send` has no time limit; `read` has one, and decodes the answer. @internal */
export const make = (client: HttpClient.HttpClient, timeout: Duration.Duration) => {
  const send = Effect.fnUntraced(
    function* (backend: Backend, call: string, request: HttpClientRequest.HttpClientRequest) {
      const fail = (reason: OllamaApiError["reason"]) => new OllamaApiError({ backend: backend.id, call, reason })
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

  const limited = <A>(backend: Backend, call: string, effect: Effect.Effect<A, OllamaApiError>) =>
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

  return { send, limited, read }
}
