/**
 * A `node:http` server with the limits of llamero, and how it begins to listen.
 *
 * @since 0.1.0
 */
import { Effect } from "effect"
import { HttpServerError } from "effect/http"
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http"
import * as Heads from "./heads.ts"
import type { Handler, Rules } from "./nodeHandler.ts"

/** Longest time for the headers of a request, in milliseconds. */
const headersMillis = 20_000
/** Longest time for a whole request, in milliseconds. Uploads that stall are cut earlier; a slow one may take long. */
const requestMillis = 30 * 60_000
/**
 * How long an idle connection stays open, in milliseconds. Longer than in nginx, which closes an idle connection
 * to a server after 60 seconds: if the router closed first, a request could already be on its way.
 */
const idleMillis = 75_000

/** @internal */
export const makeServer = (
  handler: Handler,
  { headBytesMax, nextId }: Rules,
  bodyBytesMax: number,
): Server => {
  const server = createServer({
    noDelay: true,
    keepAlive: true,
    keepAliveTimeout: idleMillis,
    headersTimeout: headersMillis,
    requestTimeout: requestMillis,
    // The handler looks for it: Node's own answer has no body.
    requireHostHeader: false,
    maxHeaderSize: Heads.parserBytesMax(headBytesMax),
  }, handler)
  // Node would drop what comes after the first thousand headers. The bytes are the limit.
  server.maxHeadersCount = 0
  server.on("clientError", Heads.onClientError(() => nextId(undefined)))
  server.on("checkContinue", (request: IncomingMessage, response: ServerResponse) => {
    // A client need not send a body that will be refused. Its connection cannot be used again then.
    if (Number(request.headers["content-length"] ?? 0) > bodyBytesMax) response.shouldKeepAlive = false
    else goOn(response)
    handler(request, response)
  })
  return server
}

/**
 * Asks the client for its body. On a connection where an earlier answer is not over, that waits for its turn. Node
 * would write it between the head and the body of an answer that is ready before its turn.
 */
const goOn = (response: ServerResponse): void => {
  if (response.socket !== null) return response.writeContinue()
  response.once("socket", () => {
    if (!response.headersSent) response.writeContinue()
  })
}

/** What a server is bound to: an address, also where `host` is a name, and a port. */
type Bound = { readonly address: string; readonly port: number }

/** @internal */
export const listen = (server: Server, host: string, port: number) =>
  Effect.callback<Bound, HttpServerError.ServeError>((resume) => {
    const onError = (cause: Error) => resume(Effect.fail(new HttpServerError.ServeError({ cause })))
    server.once("error", onError)
    server.listen({ host, port, backlog: 4096 }, () => {
      server.off("error", onError)
      const bound = server.address()
      resume(Effect.succeed(typeof bound === "object" && bound !== null ? bound : { address: host, port }))
    })
  })
