/**
 * An `HttpClient` over the transport, so that GPU agents are asked as backends are: with the same certificates.
 *
 * @since 0.1.0
 */
import { Effect, Layer } from "effect"
import { HttpClient, HttpClientError, HttpClientResponse } from "effect/http"
import { backend } from "../../../services/Fleet.ts"
import { Transport } from "../../../services/Transport.ts"
import { get } from "./ask.ts"

const named = (headers: ReadonlyArray<string>): Headers => {
  const made = new Headers()
  for (let at = 0; at + 1 < headers.length; at += 2) made.append(headers[at]!, headers[at + 1]!)
  return made
}

/** It can send `GET` only. */
export const layer: Layer.Layer<HttpClient.HttpClient, never, Transport> = Layer.effect(
  HttpClient.HttpClient,
  Effect.map(Transport, (transport) =>
    HttpClient.make((request, url) =>
      get(
        transport,
        backend({ url: url.origin }),
        url.pathname + url.search,
        Object.entries(request.headers).flatMap(([name, value]) => [name, value]),
      ).pipe(
        Effect.map(({ headers, status, text }) =>
          HttpClientResponse.fromWeb(request, new Response(text, { status, headers: named(headers) }))
        ),
        Effect.mapError((cause) =>
          new HttpClientError.HttpClientError({
            reason: new HttpClientError.TransportError({ request, cause, description: cause.description }),
          })
        ),
      )
    )),
)
