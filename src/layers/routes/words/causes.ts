/**
 * Why attempts fail and requests are refused, in words.
 *
 * @since 0.1.0
 */
import type { RefusalReason } from "../../../services/Refusal.ts"

const causes: Readonly<Record<string, string>> = {
  ok: "its answer was complete",
  refused: "it refused the connection",
  "connect-timeout": "no connection could be made in time",
  reset: "it closed the connection before its answer began",
  "reset-midway": "it closed the connection in the middle of its answer",
  protocol: "it did not speak HTTP as it should",
  exhausted: "the router had no connection left to it",
  "invalid-call": "the call could not be sent",
  "first-byte-timeout": "it sent nothing before the time limit for the first byte",
  "gap-timeout": "it stopped in the middle of its answer for longer than the limit",
  "write-timeout": "it did not take the request in time",
  "total-timeout": "its whole answer took longer than the limit",
  truncated: "its stream ended without its last record, which Ollama does when a model repeats itself",
  "error-record": "its stream ended in an error",
  "error-record-client": "its stream ended in an error that the request caused",
  "http-500-client": "it answered 500, and the request was the cause",
  "not-offered": "it does not have this path at all",
  "client-gone": "the client left",
  "client-stalled": "the client stopped reading, and was cut off",
  hedged: "another attempt of the request answered first",
  slow: "it was slower than the other attempt",
  unused: "the attempt was not made",
}

/** A cause of an outcome, as a clause about the backend. @category conversions @since 0.1.0 */
export const causeWords = (cause: string): string => {
  const known = causes[cause]
  if (known !== undefined) return known
  const [, status] = /^http-(\d+)$/.exec(cause) ?? []
  if (status === "429" || status === "503") return `it answered ${status}: it was busy`
  return status === undefined ? `it ended as ${cause}` : `it answered ${status}`
}

const reasons: Readonly<Record<RefusalReason, string>> = {
  BadRequest: "The router refused it because the call is wrong or does not fit the model.",
  Unauthorized: "The router refused it because it has no valid API key.",
  Forbidden: "The router refused it because it is not allowed.",
  ModelNotFound: "The router refused it because no backend has the model.",
  MethodNotAllowed: "The router refused it because the path does not take this method.",
  BodyTooLarge: "The router refused it because its body is above the limit.",
  UnsupportedEncoding: "The router refused it because it cannot decompress the body.",
  RateLimited: "The router refused it because its key or tenant had reached its limit.",
  QueueFull: "The router refused it because of load. Nothing was sent to a backend.",
  NoBackend: "The router refused it because no backend could serve it.",
  Draining: "The router refused it because the router was shutting down.",
  DeadlineExceeded: "The router refused it because its time was over.",
  LoadFailed: "The router refused it because the model could not be loaded.",
  BackendFailed: "The router refused it because the backend failed, and it could not be tried again.",
  Internal: "The router refused it because of a fault of its own or of a plugin.",
}

/** A sentence about a reason. @category conversions @since 0.1.0 */
export const refusalWords = (reason: RefusalReason): string => reasons[reason]
