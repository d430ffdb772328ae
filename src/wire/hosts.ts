/**
 * Which `Host` names a server on loopback accepts. Without this rule a web page could let its own name resolve to
 * 127.0.0.1 and then call the server as its own origin (DNS rebinding). Ollama has the rule, so a router in front of it
 * needs it too. No library has Ollama's list of names.
 *
 * @since 0.1.0
 */

const local =
  /^(localhost|.*\.(localhost|local|internal)|127\.[\d.]+|10\.[\d.]+|192\.168\.[\d.]+|172\.(1[6-9]|2\d|3[01])\.[\d.]+|169\.254\.[\d.]+|0\.0\.0\.0|\[[\da-f:.]*\]|)$/i

/**
 * Whether a `Host` header names this machine or its network, by Ollama's own list (`allowedHost` in its
 * `server/routes.go`).
 *
 * @category predicates
 * @since 0.1.0
 */
export const isLocal = (host: string): boolean => local.test(host.replace(/:\d+$/, ""))

/**
 * Whether a host name or address is on loopback. The rule applies only there.
 *
 * @category predicates
 * @since 0.1.0
 */
export const isLoopback = (hostname: string): boolean =>
  hostname === "localhost" || hostname.startsWith("127.") || hostname === "::1" || hostname === "[::1]"

/**
 * The rule for a server that listens on `listening` and also accepts `names`; `*` accepts all.
 *
 * The last accepted name is remembered, so that most requests cost one comparison.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (listening: string, names: ReadonlyArray<string> = []): (host: string | undefined) => boolean => {
  if (!isLoopback(listening) || names.includes("*")) return () => true
  const known = new Set(names.map((name) => name.toLowerCase()))
  let last = ""
  return (host) => {
    if (host === undefined || host === last) return true
    if (!isLocal(host) && !known.has(host.replace(/:\d+$/, "").toLowerCase())) return false
    last = host
    return true
  }
}
