/**
 * Makes the request that the router takes from headers and a body.
 *
 * @since 0.1.0
 */
import { millisOrSeconds } from "./goDuration.ts"
import { type Refusal, refuse } from "../services/Refusal.ts"
import { all as priorities } from "../services/Priority.ts"
import { defaultTenant, type Endpoint, header, type RoutedRequest } from "../services/RoutedRequest.ts"
import { canStream } from "./endpoints.ts"
import { scan } from "./envelope.ts"
import { rewrite } from "./splice.ts"

/**
 * The headers of a request that the servers themselves read. The first one counts where a header comes twice, but the
 * values of `Content-Encoding` are put together: each says that the body is encoded once more.
 *
 * @category models
 * @since 0.1.0
 */
export interface RequestHeaders {
  contentLength: string | undefined
  contentEncoding: string | undefined
  contentType: string | undefined
  origin: string | undefined
  host: string | undefined
  requestId: string | undefined
  /** `X-Request-Timeout`: the longest wait in a queue, in seconds or with a unit (`500ms`). */
  timeout: string | undefined
  /** `X-Request-Priority`: the class of the request, see `Priority`. */
  priority: string | undefined
}

/**
 * Reads `RequestHeaders` from a list of alternating names and values, in one pass.
 *
 * @category reading
 * @since 0.1.0
 */
export const readHeaders = (raw: ReadonlyArray<string>): RequestHeaders => {
  const found: RequestHeaders = {
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
    // The length alone rules out most headers.
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
        if (name.toLowerCase() === "content-encoding") {
          const before = found.contentEncoding
          found.contentEncoding = before === undefined ? raw[i + 1] : `${before}, ${raw[i + 1]}`
        }
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

/** Characters. Events keep the name and maps have it as a key, so a client must not choose how much memory it takes. */
const modelLengthMax = 512

/** Characters. For the same reason as `modelLengthMax`. */
const tenantLengthMax = 128

const unknownPriority = refuse("BadRequest", `X-Request-Priority must be one of ${priorities.join(", ")}`)
const unknownTimeout = refuse(
  "BadRequest",
  "X-Request-Timeout must be seconds, such as 30, or a duration, such as 500ms",
)
const longTenant = refuse("BadRequest", "the tenant's name is too long")

/**
 * Scans a body and makes a request of it. Returns a refusal when the body or a header is wrong.
 *
 * **Details**
 *
 * `/api/v1/generate` does not stream by default, but Ollama's generate, to which the body goes, does. So `stream` is
 * added to a body that lacks it.
 *
 * `now` is when the body had come, and `arrivedAt` when the head came, in milliseconds by the router's clock.
 * `tenantHeader`, in lower case, names the header that holds the tenant. `address` is the client's, without a port.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (
  id: string,
  endpoint: Endpoint,
  headers: ReadonlyArray<string>,
  read: RequestHeaders,
  body: Uint8Array,
  now: number,
  tenantHeader?: string,
  address?: string,
  arrivedAt?: number,
): RoutedRequest | Refusal => {
  const envelope = scan(body, endpoint, read.contentType)
  if ("_tag" in envelope) return envelope
  if (envelope.model === "") return refuse("ModelNotFound", "model '' not found", { model: "" })
  if (envelope.model.length > modelLengthMax) return refuse("BadRequest", "the model's name is too long")
  const sent = endpoint.dialect === "generate-v1" && envelope.stream === undefined
    ? rewrite(body, envelope, endpoint, { stream: endpoint.streamsByDefault })
    : { body, envelope }
  const priority = read.priority === undefined ? "default" : priorities.find((one) => one === read.priority)
  if (priority === undefined) return unknownPriority
  const queueMillis = read.timeout === undefined ? undefined : millisOrSeconds(read.timeout)
  if (read.timeout !== undefined && queueMillis === undefined) return unknownTimeout
  const tenant = (tenantHeader === undefined ? undefined : header(headers, tenantHeader)) || defaultTenant
  if (tenant.length > tenantLengthMax) return longTenant
  return {
    id,
    endpoint,
    headers,
    body: sent.body,
    envelope: sent.envelope,
    tenant,
    address,
    priority,
    receivedAt: now,
    arrivedAt,
    queueMillis,
  }
}

/**
 * Whether the answer will come in records. Ollama answers a call that only loads or unloads a model in one piece, even
 * when the call asks for a stream.
 *
 * @category reading
 * @since 0.1.0
 */
export const streams = ({ endpoint, envelope }: RoutedRequest): boolean =>
  canStream(endpoint) && (envelope.stream ?? endpoint.streamsByDefault) &&
  !(envelope.emptyPrompt && endpoint.dialect === "native")
