/**
 * Applies the cross-origin rules to an `HttpRouter` that another server serves. `NodeServer` and `WebServer` apply them
 * by themselves.
 *
 * @since 0.1.0
 */
import { Effect, type Layer } from "effect"
import { HttpEffect, HttpRouter, HttpServerRequest, HttpServerResponse } from "effect/http"
import * as Cors from "./cors.ts"

const toRecord = (raw: ReadonlyArray<string>): Readonly<Record<string, string>> => {
  const record: Record<string, string> = {}
  for (let i = 0; i + 1 < raw.length; i += 2) record[raw[i]!] = raw[i + 1]!
  return record
}

/**
 * Answers preflights, refuses requests from other origins with 403, and adds the CORS headers to all other answers.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options?: {
  /** Origins allowed besides Ollama's built-in ones; `*` in one stands for any text. Defaults to none. */
  readonly origins?: ReadonlyArray<string> | undefined
  /** Headers that pages may send besides those that llamero, Ollama and their clients use. Defaults to none. */
  readonly allowHeaders?: ReadonlyArray<string> | undefined
}): Layer.Layer<never, never, HttpRouter.HttpRouter> => {
  const cors = Cors.make(options?.origins, options?.allowHeaders)
  return HttpRouter.middleware(
    (handler) =>
      Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) => {
        const origin = request.headers["origin"]
        if (origin === undefined) return handler
        const { headers, status } = cors.decide(origin, request.headers["host"], request.method)
        const added = toRecord(headers)
        if (status !== undefined) return Effect.succeed(HttpServerResponse.empty({ status, headers: added }))
        // Before the response is sent, so that answers made from errors get the headers, too.
        return HttpEffect.withPreResponseHandler(handler, (_, response) =>
          Effect.succeed(HttpServerResponse.setHeaders(response, added)))
      }),
    { global: true },
  )
}
