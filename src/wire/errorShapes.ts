/**
 * Writes errors in the shape of the client's dialect: Ollama's own, OpenAI's or Anthropic's.
 *
 * @since 0.1.0
 */
import { Option } from "effect"
import { type Refusal, refuse } from "../services/Refusal.ts"
import type { Endpoint } from "../services/RoutedRequest.ts"
import { parse } from "./json.ts"
import { framing } from "./streamFraming.ts"

const encoder = new TextEncoder()
const bytes = (text: string): Uint8Array => encoder.encode(text)

/** Whether Ollama says `model is required` to a request without one. The other paths look for a model called "". */
export const needsModel = ({ kind, path }: Endpoint): boolean =>
  kind === "chat" || kind === "transcribe" || path === "/api/embeddings"

/** Ollama's own text and status for a missing model. They differ from endpoint to endpoint. */
const notFound = (endpoint: Endpoint, model: string): { readonly status: number; readonly message: string } =>
  model.trim() === "" && needsModel(endpoint)
    ? { status: 400, message: "model is required" }
    : model.trim() !== "" && endpoint.kind === "embed"
    ? { status: 404, message: `model "${model}" not found, try pulling it first` }
    : { status: 404, message: `model '${model}' not found` }

const worded = (endpoint: Endpoint, why: Refusal): { readonly status: number; readonly message: string } =>
  why.reason === "ModelNotFound" && why.model !== undefined ? notFound(endpoint, why.model) : why

/** The status with which an endpoint answers a refusal. @category rendering @since 0.1.0 */
export const statusOf = (endpoint: Endpoint, why: Refusal): number => worded(endpoint, why).status

/**
 * OpenAI's `type` and `code` for each status. 400 and 404 are as Ollama sends them. Ollama never sends the others
 * itself, so those are as OpenAI sends them: its clients tell errors apart by them.
 */
const openaiTypes: Readonly<Record<number, readonly [type: string, code: string | null]>> = {
  400: ["invalid_request_error", null],
  401: ["invalid_request_error", "invalid_api_key"],
  403: ["invalid_request_error", "model_not_found"],
  404: ["not_found_error", null],
  429: ["rate_limit_error", "rate_limit_exceeded"],
  431: ["invalid_request_error", null],
}
const other = ["api_error", null] as const

/** OpenAI's shape of an error. @category rendering @since 0.1.0 */
export const openaiError = (status: number, message: string) => {
  const [type, code] = openaiTypes[status] ?? other
  return { error: { message, type, param: null, code } }
}

/** `WWW-Authenticate` of a 401: HTTP requires the header (RFC 9110, 15.5.2). @category constants @since 0.1.0 */
export const challenge = `Bearer realm="llamero"`

const anthropicTypes: Readonly<Record<number, string>> = {
  400: "invalid_request_error",
  401: "authentication_error",
  403: "permission_error",
  404: "not_found_error",
  413: "request_too_large",
  415: "invalid_request_error",
  429: "rate_limit_error",
  431: "invalid_request_error",
  503: "overloaded_error",
  529: "overloaded_error",
}

/** Anthropic's ids begin with `req_`, which some clients check. */
const requestId = (id: string): string => id.startsWith("req_") ? id : `req_${id}`

const shape = (endpoint: Endpoint, status: number, message: string, id: string): unknown => {
  switch (endpoint.dialect) {
    case "openai":
      return openaiError(status, message)
    case "anthropic":
      return {
        type: "error",
        error: { type: anthropicTypes[status] ?? "api_error", message },
        request_id: requestId(id),
      }
    default:
      return { error: message }
  }
}

/**
 * A whole answer that llamero itself writes.
 *
 * @category models
 * @since 0.1.0
 */
export interface Rendered {
  readonly status: number
  /** Alternating names and values; `Content-Length` included. */
  readonly headers: ReadonlyArray<string>
  readonly body: Uint8Array
}

/** Whether to send `x-should-retry: false`. Without it the `openai` client retries 408, 409, 429 and every 5xx. */
const forbidsRetry = (endpoint: Endpoint, why: Refusal, status: number): boolean =>
  endpoint.dialect === "openai" && why.retryAfter === undefined && why.reason !== "BackendFailed" &&
  (status >= 500 || status === 429)

/**
 * Whether an error looks like a native one, as Ollama does it. Errors that its `/v1` middlewares pass on end in a
 * newline and name no charset. Errors that the middlewares make themselves have 400, and are not about the model,
 * except where a middleware itself looks whether there is one.
 */
const looksNative = ({ dialect, kind }: Endpoint, { model }: Refusal, status: number): boolean =>
  dialect === "native" || dialect === "generate-v1" ||
  (status === 400 &&
    (model === undefined || (model.trim() === "" && (dialect === "anthropic" || kind === "transcribe"))))

/**
 * A refusal as a whole answer.
 *
 * @category rendering
 * @since 0.1.0
 */
export const refusal = (endpoint: Endpoint, why: Refusal, id: string): Rendered => {
  const { message, status } = worded(endpoint, why)
  const plain = looksNative(endpoint, why, status)
  const body = bytes(JSON.stringify(shape(endpoint, status, message, id)) + (plain ? "" : "\n"))
  const headers = [
    "Content-Type",
    plain ? "application/json; charset=utf-8" : "application/json",
    "Content-Length",
    String(body.length),
  ]
  if (why.retryAfter !== undefined) headers.push("Retry-After", String(Math.max(1, Math.ceil(why.retryAfter))))
  if (why.queue !== undefined) {
    const seconds = (why.queue.waitMillis / 1000).toFixed(1)
    headers.push("X-Llamero-Queue-Depth", String(why.queue.depth), "X-Llamero-Estimated-Wait", seconds)
  }
  if (status === 401) headers.push("WWW-Authenticate", challenge)
  if (why.headers !== undefined) headers.push(...why.headers)
  if (forbidsRetry(endpoint, why, status)) headers.push("x-should-retry", "false")
  return { status, headers, body }
}

/** An error as a record of a stream. */
const framed = (endpoint: Endpoint, record: string): Uint8Array => {
  if (framing(endpoint) === "ndjson") return bytes(`${record}\n`)
  const event = endpoint.dialect === "anthropic" || endpoint.streamEnd === "response-completed" ? "event: error\n" : ""
  return bytes(`${event}data: ${record}\n\n`)
}

/**
 * A refusal as the last record of a stream that has begun.
 *
 * @category rendering
 * @since 0.1.0
 */
export const errorRecord = (endpoint: Endpoint, why: Refusal, id: string): Uint8Array => {
  const { message, status } = worded(endpoint, why)
  const record = endpoint.streamEnd === "response-completed"
    ? { type: "error", code: openaiError(status, message).error.type, message, param: null, sequence_number: 0 }
    : shape(endpoint, status, message, id)
  return framed(endpoint, JSON.stringify(record))
}

/**
 * A backend's error answer as the last record of a stream that has begun.
 *
 * A body that is not JSON (a proxy's error page, or a body that was cut off at a limit) cannot be a record. llamero's
 * own words replace it then.
 *
 * @category rendering
 * @since 0.1.0
 */
export const backendErrorRecord = (endpoint: Endpoint, status: number, body: string, id: string): Uint8Array =>
  Option.isSome(parse(body))
    ? framed(endpoint, body.replace(/\s*[\r\n]\s*/g, " ").trim())
    : errorRecord(endpoint, refuse("BackendFailed", `the backend answered ${status}`), id)
