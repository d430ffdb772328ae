/**
 * What statuses and failures say about a backend.
 *
 * @since 0.1.0
 */
import type { Outcome } from "../../services/Outcome.ts"
import type { TransportError } from "../../services/Transport.ts"

/**
 * Faults of the client that Ollama 0.33 reports with status 500: wrong option types and formats. Counting them would let one client's
 * mistake open the breaker for all.
 */
const clientFaults = [`"error":"option `, `"error":"invalid format`, "does not support", "invalid options"]

/** Whether a 500's body blames the request. @category predicates @since 0.1.0 */
export const isClientFault = (body: Uint8Array): boolean => {
  const text = new TextDecoder().decode(body.subarray(0, 512))
  return clientFaults.some((fault) => text.includes(fault))
}

/** @category constructors @since 0.1.0 */
export const outcomeOfStatus = (status: number, body: Uint8Array | undefined): Outcome => {
  if (status === 429 || status === 503) return { kind: "saturated", cause: `http-${status}` }
  if (status === 501 || (status >= 400 && status < 500)) return { kind: "ignored", cause: `http-${status}` }
  if (body !== undefined && status === 500 && isClientFault(body)) return { kind: "ignored", cause: "http-500-client" }
  return status >= 500 ? { kind: "failure", cause: `http-${status}` } : { kind: "success", cause: "ok" }
}

/** Whether a 404 says that this backend does not have the model; one of a path it does not know says nothing of models. @category predicates @since 0.1.0 */
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

/** @category constructors @since 0.1.0 */
export const outcomeOfFailure = (error: TransportError, hadBytes: boolean): Outcome => ({
  // What never left this machine says nothing about a backend.
  kind: error.reason === "Exhausted" || error.reason === "Invalid" ? "ignored" : "failure",
  cause: error.reason === "Timeout" && hadBytes
    ? "gap-timeout"
    : error.reason === "Reset" && hadBytes
    ? "reset-midway"
    : causes[error.reason],
})
