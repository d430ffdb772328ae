/**
 * Cross-origin rules for routes that are not served by `NodeServer` or `WebServer`, which apply the same ones themselves.
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
 * Answers preflights, turns away pages from other origins with 403, and adds the headers that let the allowed ones read the answer.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options?: {
  /** Beyond Ollama's built-in ones; `*` stands for anything. Defaults to none. */
  readonly origins?: ReadonlyArray<string> | undefined
}): Layer.Layer<never, never, HttpRouter.HttpRouter> => {
  const cors = Cors.make(options?.origins)
  return HttpRouter.middleware(
    (handler) =>
      Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) => {
        const origin = request.headers["origin"]
        if (origin === undefined) return handler
        const { headers, status } = cors.decide(origin, request.headers["host"], request.method)
        const added = toRecord(headers)
        if (status !== undefined) return Effect.succeed(HttpServerResponse.empty({ status, headers: added }))
        // As the last step, so that it reaches answers made from errors too.
        return HttpEffect.withPreResponseHandler(handler, (_, response) =>
          Effect.succeed(HttpServerResponse.setHeaders(response, added)))
      }),
    { global: true },
  )
}
