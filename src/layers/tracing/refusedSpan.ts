/**
 * The span of a request that a server has refused before the router could take it.
 *
 * @since 0.1.0
 */
import type { RequestRefused } from "../../services/RouterEvents.ts"
import type { Trace } from "../../services/Trace.ts"
import * as Span from "./span.ts"

/** The methods that OpenTelemetry knows. Any other text was chosen by the client. */
const methods = ["CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE"]

/** Why it failed, if the fault is the server's. @internal */
export const failure = ({ reason, status }: RequestRefused): string | undefined =>
  status >= 500 ? reason ?? String(status) : undefined

/** @internal */
export const make = (event: RequestRefused, trace: Trace): ReadonlyArray<Span.Span> => {
  const { arrivedAt, at, id, method, path, reason, route, status } = event
  const isKnown = methods.includes(method)
  const name = isKnown ? method : "HTTP"
  return [Span.make({
    traceId: trace.traceId,
    spanId: trace.spanId,
    parentId: trace.parentId,
    state: trace.state,
    name: route === undefined ? name : `${name} ${route}`,
    kind: "server",
    from: arrivedAt,
    to: at,
    error: failure(event),
    attributes: {
      "http.request.method": isKnown ? method : "_OTHER",
      "http.request.method_original": isKnown ? undefined : method,
      "http.route": route,
      "url.path": path,
      "http.response.status_code": status,
      "llamero.request.id": id,
      "llamero.result": "refused",
      "llamero.refusal": reason,
    },
  })]
}
