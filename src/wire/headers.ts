/**
 * Decides which headers are passed on, to backends and to clients. Lists alternate names and values, as Node gives
 * them. No object of headers is made for a request (`effect/http` Headers would be one): that would cost more.
 *
 * @since 0.1.0
 */

/** Names by their length. Most headers are then decided by their length alone. */
const table = (names: ReadonlyArray<string>): ReadonlyArray<ReadonlyArray<string> | undefined> => {
  const rows: Array<Array<string> | undefined> = []
  for (const name of names) (rows[name.length] ??= []).push(name)
  return rows
}

/** RFC 9110, 7.6.1, and `Proxy-Connection`, which old clients send. */
const hopByHop = [
  "connection",
  "keep-alive",
  "proxy-authenticate",
  "proxy-authorization",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
]

/**
 * Headers that are meant for the router. It decodes bodies and sends their new length, answers CORS, and asks for
 * uncompressed answers; the transport writes `Host`.
 */
const forRouter = [
  ...hopByHop,
  "host",
  "expect",
  "content-length",
  "content-encoding",
  "accept-encoding",
  "origin",
  "access-control-request-method",
  "access-control-request-headers",
  "access-control-request-private-network",
  "x-request-id",
]

/** The last four are credentials for the router. Backends do not need them. */
const notForwarded = table([...forRouter, "authorization", "cookie", "x-api-key", "api-key"])
const notForwardedTrusting = table(forRouter)

const notReturned = table([
  ...hopByHop,
  "x-request-id",
  "access-control-allow-origin",
  "access-control-allow-credentials",
  "access-control-allow-headers",
  "access-control-allow-methods",
  "access-control-allow-private-network",
  "access-control-expose-headers",
  "access-control-max-age",
])

const listed = (rows: ReadonlyArray<ReadonlyArray<string> | undefined>, name: string): boolean => {
  const candidates = rows[name.length]
  return candidates !== undefined && candidates.includes(name.toLowerCase())
}

/** The header names that `Connection` lists. `keep-alive` and `close` are skipped: nearly every request has one. */
const named = (raw: ReadonlyArray<string>): ReadonlyArray<string> | undefined => {
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const name = raw[i]!
    if (name.length !== 10 || name.toLowerCase() !== "connection") continue
    const value = raw[i + 1]!
    if (value === "keep-alive" || value === "close" || value === "Keep-Alive") continue
    return raw
      .filter((_, at) => at % 2 === 1 && raw[at - 1]!.toLowerCase() === "connection")
      .flatMap((list) => list.split(","))
      .map((token) => token.trim().toLowerCase())
  }
  return undefined
}

/** Places for headers that are added: an array that grows is copied. */
const spare = 8

const kept = (
  raw: ReadonlyArray<string>,
  dropped: ReadonlyArray<ReadonlyArray<string> | undefined>,
): Array<string> => {
  const tokens = named(raw)
  const headers = new Array<string>(raw.length + spare)
  let length = 0
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const name = raw[i]!
    if (listed(dropped, name) || tokens?.includes(name.toLowerCase())) continue
    headers[length++] = name
    headers[length++] = raw[i + 1]!
  }
  headers.length = length
  return headers
}

/**
 * The headers that a backend gets: those of the client that are passed on, and the request's id.
 *
 * **Details**
 *
 * Not passed on: the client's credentials (`Authorization`, `Cookie`, `X-Api-Key`, `Api-Key`) unless backends are
 * `trusted` with them, hop-by-hop headers and those that `Connection` names, `Host`, `Content-Length`,
 * `Content-Encoding` (bodies are sent decoded), `Origin` and the headers of a preflight.
 * `Accept-Encoding` becomes `identity`, so that the relay can read records. `X-Forwarded-*` are passed on.
 *
 * @category headers
 * @since 0.1.0
 */
export const forwardHeaders = (raw: ReadonlyArray<string>, id: string, trusted = false): Array<string> => {
  const headers = kept(raw, trusted ? notForwardedTrusting : notForwarded)
  headers.push("Accept-Encoding", "identity", "X-Request-Id", id)
  return headers
}

/**
 * The headers of a backend's answer that a client gets. The router answers CORS itself, so the backend's CORS headers
 * are dropped.
 *
 * @category headers
 * @since 0.1.0
 */
export const returnHeaders = (raw: ReadonlyArray<string>): Array<string> => kept(raw, notReturned)
