/**
 * How commands reach a router: its admin API as a typed client, and in words what goes wrong with it.
 *
 * @since 0.1.0
 */
import { Duration, Effect, Option } from "effect"
import {
  FetchHttpClient,
  HttpClient,
  type HttpClientError,
  HttpClientRequest,
  type HttpClientResponse,
} from "effect/http"
import * as HttpApiClient from "effect/http-api/HttpApiClient"
import { api } from "../layers/routes/AdminApi.ts"
import { CommandFailed, failed } from "./failed.ts"
import type { Connection } from "./flags.ts"

export type { Connection } from "./flags.ts"

/** Longest wait for an answer of the admin API. */
const answerMax = Duration.seconds(30)

/** The innermost reason: `fetch` hides it behind "fetch failed". */
const deepest = (error: unknown): string => {
  let reason: unknown = error
  while (reason instanceof Error && reason.cause !== undefined) reason = reason.cause
  if (!(reason instanceof Error)) return String(reason)
  return reason.message !== "" ? reason.message : String((reason as { readonly code?: unknown }).code ?? reason.name)
}

const unreachable = ({ url }: Connection, error: HttpClientError.HttpClientError): CommandFailed => {
  const said = deepest(error.reason)
  // In one form for Node and Deno.
  const why = /ECONNREFUSED|connection refused/i.test(said)
    ? "the connection was refused"
    : /ENOTFOUND|EAI_AGAIN|lookup/i.test(said)
    ? "the name is not known"
    : undefined
  const hint = "Start one with `llamero serve`, or say where it is: --url or LLAMERO_URL."
  return failed(`No router answers at ${url}: ${why === undefined ? `${said}.` : `${why}.\n  ${hint}`}`)
}

/** The words of an error of the admin API; `undefined` where the answer is something else. */
const wordsOf = (text: string): string | undefined => {
  try {
    const { error } = JSON.parse(text)
    return typeof error === "string" ? error : undefined
  } catch {
    return undefined
  }
}

/** Why a path of the admin API is not there: it is off, the router is of another version, or there is no router. */
const missing = Effect.fnUntraced(function* (url: string, path: string, http: HttpClient.HttpClient) {
  const found = (path: string) =>
    Effect.orElseSucceed(Effect.map(http.get(url + path), ({ status }) => status === 200), () => false)
  if (yield* found("/admin/openapi.json")) {
    return failed(`The router at ${url} does not have ${path}: it is older than this command. Update the router.`, 404)
  }
  if (yield* found("/ui")) {
    return failed(
      `The admin API of the router at ${url} is off. Start the router with LLAMERO_ADMIN_TOKEN set to a long text.`,
      404,
    )
  }
  return failed(`What answers at ${url} is no llamero router. Say where the router is: --url or LLAMERO_URL.`, 404)
})

const noToken = "Set LLAMERO_ADMIN_TOKEN to the token that the router was started with, or give it with --token."

const refusal = Effect.fnUntraced(function* (
  { token, url }: Connection,
  response: HttpClientResponse.HttpClientResponse,
  http: HttpClient.HttpClient,
) {
  const { request, status } = response
  const words = wordsOf(yield* Effect.orElseSucceed(response.text, () => ""))
  if (status === 401) {
    return Option.isNone(token)
      ? failed(`The router at ${url} asks for the admin token. ${noToken}`, status)
      : failed(`The router at ${url} does not take this token (${words ?? "401"}). ${noToken}`, status)
  }
  if (words !== undefined) return failed(words, status)
  if (status === 404 || status === 405) return yield* missing(url, request.url.replace(url, ""), http)
  return failed(`${url} answered ${status}, which is no answer of a llamero router.`, status)
})

const make = (to: Connection) =>
  Effect.gen(function* () {
    const http = yield* HttpClient.HttpClient
    const signed = Option.match(to.token, {
      onNone: () => http,
      onSome: (token) => HttpClient.mapRequest(http, HttpClientRequest.bearerToken(token)),
    })
    const httpClient = HttpClient.transform(
      signed,
      (answer): Effect.Effect<HttpClientResponse.HttpClientResponse, CommandFailed> =>
        Effect.flatMap(
          Effect.mapError(answer, (error) => unreachable(to, error)),
          (response) =>
            response.status < 400
              ? Effect.succeed(response)
              : Effect.flatMap(refusal(to, response, http), (error) => Effect.fail(error)),
        ),
    )
    return yield* HttpApiClient.makeWith(api, { httpClient, baseUrl: to.url })
  })

/** The admin API, as functions. @category models @since 0.1.0 */
export type Client = Effect.Success<ReturnType<typeof make>>

const understood = ({ url }: Connection) => (error: unknown): CommandFailed => {
  if (error instanceof CommandFailed) return error
  const why = error instanceof Error ? error.message.split("\n")[0] : String(error)
  return failed(`The answer of the router at ${url} is not understood; it may be of another version. ${why}`)
}

/**
 * Calls the admin API. Every error has its words for people.
 *
 * @category calls
 * @since 0.1.0
 */
export const ask = <A, E>(
  to: Connection,
  call: (client: Client) => Effect.Effect<A, E>,
  limit: Duration.Input = answerMax,
): Effect.Effect<A, CommandFailed> =>
  Effect.flatMap(make(to), (client) => Effect.mapError(call(client), understood(to))).pipe(
    Effect.provide(FetchHttpClient.layer),
    Effect.timeoutOrElse({
      duration: limit,
      orElse: () =>
        Effect.fail(
          failed(`The router at ${to.url} did not answer within ${Duration.format(Duration.fromInputUnsafe(limit))}.`),
        ),
    }),
  )
