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
const refuseHead = (request: IncomingMessage, response: ServerResponse, why: Refusal, id: string): void => {
  const { body, headers, status } = ErrorShapes.refusal(Heads.dialectOf(request.url ?? ""), why, id)
  response.writeHead(status, ["X-Request-Id", id, ...headers]).end(body)
  request.resume()
}

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

  const toApp = (request: IncomingMessage, response: ServerResponse, headers: ReadonlyArray<string>) => {
    traffic.others++
    response.once("close", () => {
      traffic.others--
      traffic.ended()
    })
    for (let i = 0; i < headers.length; i += 2) response.setHeader(headers[i]!, headers[i + 1]!)
    request.url = forRoutes(request.url ?? "")
    app(request, response)
  }

  return (request, response) => {
    if (traffic.draining) response.shouldKeepAlive = false
    const headers = readHeaders(request.rawHeaders)
    const id = nextId(headers.requestId)
    const { rawHeaders, url = "" } = request
    if (Heads.isTooLong(url, rawHeaders, headBytesMax)) return refuseHead(request, response, Heads.tooLong, id)
    if (headers.host === undefined && request.httpVersion === "1.1") {
      // What follows is mostly the rest of this request.
      response.shouldKeepAlive = false
      return refuseHead(request, response, Heads.noHost, id)
    }
    if (!acceptsHost(headers.host)) {
      response.writeHead(403, ["X-Request-Id", id, ...emptyBody(403)]).end()
      return
    }
    const { origin } = headers
    const allowed = origin === undefined ? undefined : cors.decide(origin, headers.host, request.method ?? "")
    if (allowed?.status !== undefined) {
      response.writeHead(allowed.status, [...allowed.headers, "X-Request-Id", id, ...emptyBody(allowed.status)]).end()
      return
    }
    if (shared.local && isDirect(headers, rawHeaders)) LocalRequests.mark(request)
    const endpoint = find(url, request.method)
    const extra = allowed?.headers ?? []
    if (endpoint === undefined) return toApp(request, response, ["X-Request-Id", id, ...extra])
    if (request.method === "POST") {
      new NodeExchange(shared, request, response, endpoint, headers, id, extra)
      return
    }
    response.writeHead(405, [...notAllowed, "X-Request-Id", id, ...extra]).end(notAllowedText)
  }
}
