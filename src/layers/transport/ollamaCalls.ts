/**
 * Sends control calls and turns every failure into an `OllamaApiError`.
 *
 * @since 0.1.0
 */
import { Duration, Effect, Result, Schema } from "effect"
import type { Backend } from "../../services/Fleet.ts"
import { Malformed, OllamaApiError, Rejected, Unreachable } from "../../services/OllamaApi.ts"
import * as Answers from "./ollamaAnswers.ts"

const parseJson = Schema.decodeUnknownEffect(Schema.fromJsonString(Schema.Unknown))

/** A control call. @internal */
export interface ControlCall {
  readonly method: "GET" | "POST"
  readonly path: string
  /** Sent as JSON. */
  readonly body?: unknown
}

/** Sends a control call and waits for its whole answer. @internal */
export type Exchange = (
  backend: Backend,
  call: ControlCall,
) => Effect.Effect<{ readonly status: number; readonly text: string }, Unreachable>

/** @internal */
export const get = (path: string): ControlCall => ({ method: "GET", path })

/** @internal */
export const post = (path: string, body: unknown): ControlCall => ({ method: "POST", path, body })

/** `send` has no time limit; `read` has one, and decodes the answer. @internal */
export const make = (exchange: Exchange, timeout: Duration.Duration) => {
  const send = Effect.fnUntraced(function* (backend: Backend, call: string, request: ControlCall) {
    const fail = (reason: OllamaApiError["reason"]) => new OllamaApiError({ backend: backend.id, call, reason })
    const { status, text } = yield* Effect.mapError(exchange(backend, request), fail)
    if (status < 200 || status > 299) {
      return yield* fail(new Rejected({ status, description: Answers.errorText(status, text) }))
    }
    return yield* Effect.mapError(
      parseJson(text),
      () => fail(new Malformed({ description: "the answer is not JSON" })),
    )
  })

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
    request: ControlCall,
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
