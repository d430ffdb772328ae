/**
 * Finds the reason of a failed call from the error codes of Node, undici and Deno.
 *
 * @since 0.1.0
 */
import type { TransportReason } from "../../services/Transport.ts"

const field = (error: unknown, name: "cause" | "code" | "message" | "name"): unknown =>
  typeof error === "object" && error !== null ? (error as Readonly<Record<string, unknown>>)[name] : undefined

/** The code of an error, or of its cause. */
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

/** The router itself has no descriptors, ports or memory left for another socket. */
const exhausted = new Set(["EADDRNOTAVAIL", "EMFILE", "ENFILE", "ENOBUFS", "ENOMEM"])

/** undici refuses to send such a call. */
const invalid = /^UND_ERR_(?:INVALID_ARG|NOT_SUPPORTED|REQ_CONTENT_LENGTH_MISMATCH)$/

const notHttp = /^HPE_|^UND_ERR_(?:HEADERS_OVERFLOW|RES_EXCEEDED_MAX_SIZE)$/

/**
 * The reason of a transport error. `connected`: whether there was a connection. Pass `true` when the runtime does not
 * tell; then the code decides.
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
  // Errors of Deno's `fetch` have no codes, only texts.
  const message = `${String(field(error, "message"))} ${String(field(field(error, "cause"), "message"))}`
  if (
    /connection refused|tcp connect error|dns error|error trying to connect|client error \(Connect\)/i.test(message)
  ) {
    return "Refused"
  }
  return /invalid http|parse/i.test(message) ? "Protocol" : "Reset"
}
