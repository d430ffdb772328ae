/**
 * Decides the outcome of an attempt from its status or failure.
 *
 * @since 0.1.0
 */
import { notOffered, type Outcome } from "../../services/Outcome.ts"
import type { TransportError } from "../../services/Transport.ts"

/**
 * Texts of errors that the client caused but Ollama 0.33 answers with status 500: wrong option types and formats. If
 * they counted as failures, one client's mistake could open the breaker for all.
 */
const clientFaults = [`"error":"option `, `"error":"invalid format`, "does not support", "invalid options"]

/** Whether the body of a 500 says that the client is the cause. @category predicates @since 0.1.0 */
export const isClientFault = (body: Uint8Array): boolean => {
  const text = new TextDecoder().decode(body.subarray(0, 512))
  return clientFaults.some((fault) => text.includes(fault))
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
  if (body !== undefined && status === 500 && isClientFault(body)) return { kind: "ignored", cause: "http-500-client" }
  return status >= 500 ? { kind: "failure", cause: `http-${status}` } : { kind: "success", cause: "ok" }
}

/**
 * Whether an answer says that the backend does not have the model. A 404 for a path that the backend does not know has
 * another body.
 *
 * @category predicates
 * @since 0.1.0
 */
export const isModelMissing = (status: number, body: Uint8Array): boolean => {
  if (status !== 404) return false
  const text = new TextDecoder().decode(body.subarray(0, 512))
  return text.includes(`"error"`) && text.includes("not found")
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
