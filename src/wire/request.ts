/**
 * From headers and bytes to the request that the router takes.
 *
 * @since 0.1.0
 */
import { millisOrSeconds } from "./goDuration.ts"
import { type Refusal, refuse } from "../services/Refusal.ts"
import type { Priority } from "../services/Priority.ts"
import { type Endpoint, header, type RoutedRequest } from "../services/RoutedRequest.ts"
import { canStream } from "./endpoints.ts"
import { scan } from "./envelope.ts"
import { rewrite } from "./splice.ts"

/**
 * The few headers that the edge itself reads.
 *
 * @category models
 * @since 0.1.0
 */
export interface EdgeHeaders {
  contentLength: string | undefined
  contentEncoding: string | undefined
  contentType: string | undefined
  origin: string | undefined
  host: string | undefined
  requestId: string | undefined
  /** `X-Request-Timeout`: longest wait in a queue. */
  timeout: string | undefined
  /** `X-Request-Priority`. */
  priority: string | undefined
}

/**
 * Picks them out of a raw list in one pass.
 *
 * @category reading
 * @since 0.1.0
 */
export const edgeHeaders = (raw: ReadonlyArray<string>): EdgeHeaders => {
  const found: EdgeHeaders = {
    contentLength: undefined,
    contentEncoding: undefined,
    contentType: undefined,
    origin: undefined,
    host: undefined,
    requestId: undefined,
    timeout: undefined,
    priority: undefined,
  }
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const name = raw[i]!
    // The length rules out most headers without touching their letters.
    switch (name.length) {
      case 4:
        if (name.toLowerCase() === "host") found.host ??= raw[i + 1]
        break
      case 6:
        if (name.toLowerCase() === "origin") found.origin ??= raw[i + 1]
        break
      case 12: {
        const lower = name.toLowerCase()
        if (lower === "content-type") found.contentType ??= raw[i + 1]
        else if (lower === "x-request-id") found.requestId ??= raw[i + 1]
        break
      }
      case 14:
        if (name.toLowerCase() === "content-length") found.contentLength ??= raw[i + 1]
        break
      case 16:
        if (name.toLowerCase() === "content-encoding") found.contentEncoding ??= raw[i + 1]
        break
      case 17:
        if (name.toLowerCase() === "x-request-timeout") found.timeout ??= raw[i + 1]
        break
      case 18:
        if (name.toLowerCase() === "x-request-priority") found.priority ??= raw[i + 1]
        break
    }
  }
  return found
}

/** Names are kept in events and looked up in maps: nobody gets to choose how much memory that takes. */
const modelLengthMax = 512

/** Whose requests those are that no header and no guard has given to a tenant. */
const nobody = "default"
/** Longest name of a tenant: as for models. */
const tenantLengthMax = 128

const priorities: ReadonlyArray<Priority> = ["interactive", "default", "batch"]
const unknownPriority = refuse("BadRequest", `X-Request-Priority must be one of ${priorities.join(", ")}`)
const unknownTimeout = refuse(
  "BadRequest",
  "X-Request-Timeout must be seconds, such as 30, or a duration, such as 500ms",
)
const longTenant = refuse("BadRequest", "the tenant's name is too long")

/**
 * A body scanned and made a request, or what is wrong with it.
 *
 * **Details**
 *
 * The brief's endpoint does not stream by default and Ollama's generate does, so `stream` is put into the body where the client left it out.
 *
 * `tenantHeader`, in lower case, names the header that says whose request it is.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (
  id: string,
  endpoint: Endpoint,
  headers: ReadonlyArray<string>,
  edge: EdgeHeaders,
  body: Uint8Array,
  now: number,
  tenantHeader?: string,
): RoutedRequest | Refusal => {
  const envelope = scan(body, endpoint, edge.contentType)
  if ("_tag" in envelope) return envelope
  if (envelope.model === "") return refuse("ModelNotFound", "model '' not found", { model: "" })
  if (envelope.model.length > modelLengthMax) return refuse("BadRequest", "the model's name is too long")
  const sent = endpoint.dialect === "brief" && envelope.stream === undefined
    ? rewrite(body, envelope, endpoint, { stream: endpoint.streamsByDefault })
    : { body, envelope }
  const priority = edge.priority === undefined ? "default" : priorities.find((one) => one === edge.priority)
  if (priority === undefined) return unknownPriority
  const queueMillis = edge.timeout === undefined ? undefined : millisOrSeconds(edge.timeout)
  if (edge.timeout !== undefined && queueMillis === undefined) return unknownTimeout
  const tenant = (tenantHeader === undefined ? undefined : header(headers, tenantHeader)) || nobody
  if (tenant.length > tenantLengthMax) return longTenant
  return {
    id,
    endpoint,
    headers,
    body: sent.body,
    envelope: sent.envelope,
    tenant,
    priority,
    receivedAt: now,
    queueMillis,
  }
}

/**
 * Whether the answer will come in records. Ollama answers a load or unload call whole, even where it was asked to stream.
 *
 * @category reading
 * @since 0.1.0
 */
export const streams = ({ endpoint, envelope }: RoutedRequest): boolean =>
  canStream(endpoint) && (envelope.stream ?? endpoint.streamsByDefault) &&
  !(envelope.emptyPrompt && endpoint.dialect === "native")
