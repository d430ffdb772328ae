/**
 * Decides the outcome of an attempt from its status or failure.
 *
 * @since 0.1.0
 */
import { notOffered, type Outcome } from "../../services/Outcome.ts"
import { header } from "../../services/RoutedRequest.ts"
import type { TransportError } from "../../services/Transport.ts"
import { errorText } from "../../wire/errorText.ts"
import { textOf } from "../../wire/json.ts"
import { isStreamType } from "../../wire/streamFraming.ts"
import { missingModel } from "../../wire/missingModel.ts"

/**
 * Texts of errors that the client, its prompt or the model caused but Ollama answers with status 500: wrong option
 * types and formats (0.33), and a model that repeats itself (from 0.34.1 on). If they counted as failures, one client
 * could open the breaker for all.
 */
const clientFaults =
  /^(?:option |invalid format)|does not support|invalid options|prediction aborted, token repeat limit reached/

/** Whether the body of a 500, or an error record, says so. @category predicates @since 0.1.0 */
export const isClientFault = (body: string): boolean => clientFaults.test(errorText(body) ?? body)

/** The outcome of a stream that ended in an error record; `tail` is its end. @category constructors @since 0.1.0 */
export const outcomeOfErrorRecord = (tail: string): Outcome => {
  const line = tail.trimEnd().split(/[\r\n]/).at(-1) ?? ""
  return isClientFault(line.replace(/^data:/, ""))
    ? { kind: "ignored", cause: "error-record-client" }
    : { kind: "failure", cause: "error-record" }
}

/**
 * Whether an answer says that the backend does not have the path at all: the plain text of a library that routes HTTP
 * paths (`404 page not found`, `405 method not allowed`), or the page of a proxy. Every error of Ollama itself is JSON.
 *
 * @category predicates
 * @since 0.1.0
 */
export const isPathMissing = (status: number, body: Uint8Array): boolean =>
  (status === 404 || status === 405) && !/^\s*[{[]/.test(new TextDecoder().decode(body.subarray(0, 64)))

/** The outcome of a complete answer; `body` when it is known. @category constructors @since 0.1.0 */
export const outcomeOfStatus = (status: number, body: Uint8Array | undefined): Outcome => {
  if (status === 429 || status === 503) return { kind: "saturated", cause: `http-${status}` }
  if (body !== undefined && isPathMissing(status, body)) return notOffered
  if (status === 501 || (status >= 400 && status < 500)) return { kind: "ignored", cause: `http-${status}` }
  if (body !== undefined && status === 500 && isClientFault(textOf([body]))) {
    return { kind: "ignored", cause: "http-500-client" }
  }
  return status >= 500 ? { kind: "failure", cause: `http-${status}` } : { kind: "success", cause: "ok" }
}

/**
 * Whether an answer says that the backend does not have a model. A 404 about anything else is the answer itself.
 *
 * @category predicates
 * @since 0.1.0
 */
export const isModelMissing = (status: number, body: Uint8Array): boolean => missingModel(status, body) !== undefined

/**
 * A stream that came to its end without its last record. Ollama ends one so when a model repeats itself. The model or
 * the prompt is the cause: another backend would end it in the same way.
 *
 * @category constructors
 * @since 0.1.0
 */
export const truncated: Outcome = { kind: "ignored", cause: "truncated" }

/**
 * Whether another backend may answer better. 429, 502 and 503 come before any work was done, or from a proxy in front
 * of the backend, so a retry is safe. `outcome` is that of the same answer.
 *
 * @category predicates
 * @since 0.1.0
 */
export const isElsewhere = (status: number, body: Uint8Array, outcome: Outcome): boolean =>
  status === 429 || status === 502 || status === 503 || outcome === notOffered || isModelMissing(status, body)

/**
 * Whether an answer without a last record is no stream, although one was asked for: it has another type, and its length
 * was declared or it is JSON where events were expected. Its own framing says that it is complete.
 *
 * @category predicates
 * @since 0.1.0
 */
export const isNoStream = (rawHeaders: ReadonlyArray<string>, hasNoEvents: boolean): boolean => {
  const type = header(rawHeaders, "content-type")
  if (isStreamType(type)) return false
  return header(rawHeaders, "content-length") !== undefined ||
    (hasNoEvents && /^\s*application\/json\b/i.test(type ?? ""))
}

const causes = {
  Refused: "refused",
  ConnectTimeout: "connect-timeout",
  Reset: "reset",
  Protocol: "protocol",
  Exhausted: "exhausted",
  Invalid: "invalid-call",
  Timeout: "first-byte-timeout",
} as const

/** The outcome of a call that broke, before or after bytes had come. @category constructors @since 0.1.0 */
export const outcomeOfFailure = (error: TransportError, hadBytes: boolean): Outcome => ({
  // These never reached a backend, so they say nothing about it.
  kind: error.reason === "Exhausted" || error.reason === "Invalid" ? "ignored" : "failure",
  cause: error.reason === "Timeout" && hadBytes
    ? "gap-timeout"
    : error.reason === "Reset" && hadBytes
    ? "reset-midway"
    : causes[error.reason],
})
