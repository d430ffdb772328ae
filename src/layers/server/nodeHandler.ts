/**
 * Decides what happens to each request of a `node:http` server.
 *
 * @since 0.1.0
 */
import type { IncomingMessage, ServerResponse } from "node:http"
import type { Refusal } from "../../services/Refusal.ts"
import { find } from "../../wire/endpoints.ts"
import * as ErrorShapes from "../../wire/errorShapes.ts"
import * as LocalRequests from "../../support/localRequests.ts"
import { isOnLoopback } from "../../wire/hosts.ts"
import { readHeaders, type RequestHeaders } from "../../wire/request.ts"
import { forRoutes } from "../../wire/target.ts"
import type { Cors } from "./cors.ts"
import * as Heads from "./heads.ts"
import { NodeExchange, type Shared } from "./nodeExchange.ts"
import type { NodeTraffic } from "./nodeTraffic.ts"
import * as Refused from "./refused.ts"

/** @internal */
export type Handler = (request: IncomingMessage, response: ServerResponse) => void

/** @internal */
export interface Rules {
  readonly cors: Cors
  /** Whether the server accepts a `Host`. */
  readonly acceptsHost: (host: string | undefined) => boolean
  /** Longest head of a request, in bytes. */
  readonly headBytesMax: number
  /** The id of a request, from the one that the client offers. */
  readonly nextId: (offered: string | undefined) => string
}

const notAllowedText = "405 method not allowed"
const notAllowed = ["Allow", "POST", "Content-Type", "text/plain", "Content-Length", String(notAllowedText.length)]

/** A 204 never has a body, and must not have a `Content-Length` (RFC 9110, 8.6). */
const emptyBody = (status: number): ReadonlyArray<string> => status === 204 ? [] : ["Content-Length", "0"]

/** Refuses a head. The body is read and dropped: a client that is sending does not read its answer. */
const refuseHead = (request: IncomingMessage, response: ServerResponse, why: Refusal, id: string): number => {
  const { body, headers, status } = ErrorShapes.refusal(Heads.dialectOf(request.url ?? ""), why, id)
  response.writeHead(status, ["X-Request-Id", id, ...headers]).end(body)
  request.resume()
  return status
}

const headOf = ({ method, rawHeaders, url = "" }: IncomingMessage, id: string): Refused.Head => ({
  id,
  method,
  target: url,
  headers: rawHeaders,
})

/** Headers of a proxy, in lower case: the client behind it can be anyone. */
const proxied = new Set(["forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip", "via"])

/**
 * Whether a user of this machine has sent the request: a program, not a web page and not a proxy. Some proxies add no
 * header but pass `Host` on, and pages leave `Origin` out of a `GET` to their own host.
 */
const isDirect = ({ host, origin }: RequestHeaders, rawHeaders: ReadonlyArray<string>): boolean =>
  origin === undefined && (host === undefined || isOnLoopback(host)) &&
  !rawHeaders.some((name, i) => i % 2 === 0 && proxied.has(name.toLowerCase()))

/** Inference requests go to the router, all others to `app`. @internal */
export const make = (shared: Shared, rules: Rules, traffic: NodeTraffic, app: Handler): Handler => {
  const { acceptsHost, cors, headBytesMax, nextId } = rules

  const toApp = (
    request: IncomingMessage,
    response: ServerResponse,
    id: string,
    headers: ReadonlyArray<string>,
  ) => {
    traffic.others++
    const head = { ...headOf(request, id), arrivedAt: shared.clock.currentTimeMillisUnsafe() }
    response.once("close", () => {
      traffic.others--
      traffic.ended()
      if (response.headersSent) Refused.answered(shared, head, response.statusCode)
    })
    response.setHeader("X-Request-Id", id)
    for (let i = 0; i < headers.length; i += 2) response.setHeader(headers[i]!, headers[i + 1]!)
    request.url = forRoutes(request.url ?? "")
    app(request, response)
  }

  /** Answers with a status alone. */
  const empty = (
    request: IncomingMessage,
    response: ServerResponse,
    id: string,
    status: number,
    headers: ReadonlyArray<string> = [],
  ): void => {
    response.writeHead(status, [...headers, "X-Request-Id", id, ...emptyBody(status)]).end()
    if (status >= 400) Refused.head(shared, headOf(request, id), status, "Forbidden")
  }

  const refuse = (request: IncomingMessage, response: ServerResponse, why: Refusal, id: string): void =>
    Refused.head(shared, headOf(request, id), refuseHead(request, response, why, id), why.reason)

  return (request, response) => {
    if (traffic.draining) response.shouldKeepAlive = false
    const headers = readHeaders(request.rawHeaders)
    const id = nextId(headers.requestId)
    const { rawHeaders, url = "" } = request
    if (Heads.isTooLong(url, rawHeaders, headBytesMax)) return refuse(request, response, Heads.tooLong, id)
    if (headers.host === undefined && request.httpVersion === "1.1") {
      // What follows is mostly the rest of this request.
      response.shouldKeepAlive = false
      return refuse(request, response, Heads.noHost, id)
    }
    if (!acceptsHost(headers.host)) return empty(request, response, id, 403)
    const { origin } = headers
    const allowed = origin === undefined ? undefined : cors.decide(origin, headers.host, request.method ?? "")
    if (allowed?.status !== undefined) return empty(request, response, id, allowed.status, allowed.headers)
    if (shared.local && isDirect(headers, rawHeaders)) LocalRequests.mark(request)
    const endpoint = find(url, request.method)
    const extra = allowed?.headers ?? []
    if (endpoint === undefined) return toApp(request, response, id, extra)
    if (request.method === "POST") {
      new NodeExchange(shared, request, response, endpoint, headers, id, extra)
      return
    }
    response.writeHead(405, [...notAllowed, "X-Request-Id", id, ...extra]).end(notAllowedText)
    Refused.head(shared, headOf(request, id), 405, "MethodNotAllowed", endpoint)
  }
}
