/**
 * Requests, as a server makes them from HTTP calls.
 *
 * @since 0.1.0
 */
import type { RoutedRequest } from "../services/RoutedRequest.ts"
import * as Endpoints from "../wire/endpoints.ts"
import { scan } from "../wire/envelope.ts"
import { bytes } from "./replies.ts"

let requests = 0

/**
 * A request to one of Ollama's inference paths, such as `/api/chat`, that arrived at `now` (milliseconds). Each has a
 * new id. Throws a `RangeError` for another path, or for a body that is no request.
 *
 * @category constructors
 * @since 0.1.0
 */
export const request = (
  path: string,
  body: object | string,
  now = 0,
  headers: ReadonlyArray<string> = [],
): RoutedRequest => {
  const endpoint = Endpoints.find(path)
  if (endpoint === undefined) throw new RangeError(`request: ${path} is not an inference path`)
  const raw = bytes(typeof body === "string" ? body : JSON.stringify(body))
  const envelope = scan(raw, endpoint)
  if ("_tag" in envelope) throw new RangeError(`request: ${envelope.message}`)
  return {
    id: `t${++requests}`,
    endpoint,
    headers: ["Content-Type", "application/json", ...headers],
    body: raw,
    envelope,
    tenant: "default",
    priority: "default",
    receivedAt: now,
  }
}
