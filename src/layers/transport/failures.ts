/**
 * What a failed exchange means, from the codes that runtimes give.
 *
 * @since 0.1.0
 */
import type { TransportReason } from "../../services/Transport.ts"

const field = (error: unknown, name: "cause" | "code" | "message" | "name"): unknown =>
  typeof error === "object" && error !== null ? (error as Readonly<Record<string, unknown>>)[name] : undefined

/** Of the error, or of what caused it. */
const codeOf = (error: unknown): string => {
  for (let at = error, depth = 0; at !== undefined && depth < 4; at = field(at, "cause"), depth++) {
    const code = field(at, "code")
    if (typeof code === "string") return code
  }
  return ""
}

const neverConnected = new Set([
  "ECONNREFUSED",
  "ENOTFOUND",
  "EAI_AGAIN",
  "EHOSTUNREACH",
  "EHOSTDOWN",
  "ENETUNREACH",
])

/** Ours, not the backend's: no descriptors, no ports, no memory for another socket. */
const exhausted = new Set(["EADDRNOTAVAIL", "EMFILE", "ENFILE", "ENOBUFS", "ENOMEM"])

/** What undici will not put on a wire. */
const invalid = /^UND_ERR_(?:INVALID_ARG|NOT_SUPPORTED|REQ_CONTENT_LENGTH_MISMATCH)$/

const notHttp = /^HPE_|^UND_ERR_(?:HEADERS_OVERFLOW|RES_EXCEEDED_MAX_SIZE)$/

/**
 * The reason of a transport error. `connected` says whether a connection was there; where the runtime does not tell, say true and the code decides.
 *
 * @category reading
 * @since 0.1.0
 */
export const reasonOf = (error: unknown, connected: boolean): TransportReason => {
  const code = codeOf(error)
  if (code === "UND_ERR_CONNECT_TIMEOUT" || (!connected && code === "ETIMEDOUT")) return "ConnectTimeout"
  if (exhausted.has(code)) return "Exhausted"
  if (invalid.test(code)) return "Invalid"
  if (notHttp.test(code) || field(error, "name") === "HTTPParserError") return "Protocol"
  if (!connected || neverConnected.has(code)) return "Refused"
  // Deno's fetch has no codes; the text is all there is.
  const message = `${String(field(error, "message"))} ${String(field(field(error, "cause"), "message"))}`
  if (
    /connection refused|tcp connect error|dns error|error trying to connect|client error \(Connect\)/i.test(message)
  ) {
    return "Refused"
  }
  return /invalid http|parse/i.test(message) ? "Protocol" : "Reset"
}
