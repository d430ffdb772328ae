/**
 * The router's own answers, in Ollama's shapes.
 *
 * @since 0.1.0
 */
import { Effect } from "effect"
import { HttpRouter, type HttpServerRequest, HttpServerResponse } from "effect/http"
import { challenge, openaiError } from "../../wire/errorShapes.ts"

/** Content type of Ollama's native JSON answers. @category constants @since 0.1.0 */
export const nativeJson = "application/json; charset=utf-8"

/** JSON text, sent as it is. @category constructors @since 0.1.0 */
export const json = (text: string, status = 200, contentType = nativeJson): HttpServerResponse.HttpServerResponse =>
  HttpServerResponse.text(text, { status, contentType })

/** A 401 must say how to authenticate (RFC 9110, 11.6.1). */
const refused = (text: string, status: number, contentType: string) =>
  status === 401
    ? HttpServerResponse.setHeader(json(text, status, contentType), "www-authenticate", challenge)
    : json(text, status, contentType)

/** `{"error":"…"}`. @category constructors @since 0.1.0 */
export const error = (status: number, message: string): HttpServerResponse.HttpServerResponse =>
  refused(JSON.stringify({ error: message }), status, nativeJson)

/** The same in OpenAI's shape. @category constructors @since 0.1.0 */
export const errorOpenAi = (status: number, message: string): HttpServerResponse.HttpServerResponse =>
  refused(JSON.stringify(openaiError(status, message)), status, "application/json")

/**
 * 503: no backend answered. `Retry-After` is 5 seconds, because health is probed every few seconds.
 *
 * @category constructors
 * @since 0.1.0
 */
export const unreachable = (
  make: (status: number, message: string) => HttpServerResponse.HttpServerResponse = error,
): HttpServerResponse.HttpServerResponse =>
  HttpServerResponse.setHeader(make(503, "no backend can be reached, please try again"), "retry-after", "5")

const methods = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "QUERY"] as const

/** The methods of a route. @category models @since 0.1.0 */
export type Method = (typeof methods)[number]

/** Ollama's answer for a path that it does not have. @category constants @since 0.1.0 */
export const pageNotFound: HttpServerResponse.HttpServerResponse = HttpServerResponse.text("404 page not found", {
  status: 404,
  contentType: "text/plain",
})

/** A path that ends in a slash is another one for methods that the path without it does not take. */
const isOtherPath = (url: string): boolean => /^[^?]+\/(\?|$)/.test(url)

/**
 * A handler for some methods of a path, and Ollama's answer to all others: 405 with `Allow`, or 404 where the request's
 * path ends in a slash.
 *
 * @category constructors
 * @since 0.1.0
 */
export const on = <E = never, R = never>(
  allowed: ReadonlyArray<Method>,
  path: HttpRouter.PathInput,
  handler: HttpServerResponse.HttpServerResponse | Effect.Effect<HttpServerResponse.HttpServerResponse, E, R>,
): ReadonlyArray<HttpRouter.Route<E, Exclude<R, HttpRouter.Provided>>> => {
  const refused = HttpServerResponse.text("405 method not allowed", {
    status: 405,
    contentType: "text/plain",
    headers: { allow: allowed.join(", ") },
  })
  const other = ({ url }: HttpServerRequest.HttpServerRequest) =>
    Effect.succeed(isOtherPath(url) ? pageNotFound : refused)
  return methods.map((method) =>
    allowed.includes(method) ? HttpRouter.route(method, path, handler) : HttpRouter.route(method, path, other)
  )
}
