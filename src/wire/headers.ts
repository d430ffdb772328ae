/**
 * Which headers pass from one side to the other. Raw lists, alternating names and values: nothing is turned into objects on the way.
 *
 * @since 0.1.0
 */

/** Names by length, so that most headers are passed after looking at a number. */
const table = (names: ReadonlyArray<string>): ReadonlyArray<ReadonlyArray<string> | undefined> => {
  const rows: Array<Array<string> | undefined> = []
  for (const name of names) (rows[name.length] ??= []).push(name)
  return rows
}

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

/** Bodies are passed on decoded and with a length of their own; the backend is named by the transport; CORS and compression end here. */
const endHere = [
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

/** The last four prove to the router who the client is: no business of backends. */
const notForwarded = table([...endHere, "authorization", "cookie", "x-api-key", "api-key"])
const notForwardedTrusting = table(endHere)

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

/** The names that `Connection` lists: hop-by-hop for this one message. `keep-alive` and `close` name no header worth a list. */
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

const kept = (
  raw: ReadonlyArray<string>,
  dropped: ReadonlyArray<ReadonlyArray<string> | undefined>,
): Array<string> => {
  const tokens = named(raw)
  const headers: Array<string> = []
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const name = raw[i]!
    if (listed(dropped, name) || tokens?.includes(name.toLowerCase())) continue
    headers.push(name, raw[i + 1]!)
  }
  return headers
}

/**
 * What of a client's headers goes to a backend, with the request's id.
 *
 * **Details**
 *
 * Dropped: the client's credentials (`Authorization`, `Cookie`, `X-Api-Key`, `Api-Key`) unless they are `trusted` to backends, hop-by-hop headers with those that `Connection` names, `Host`, `Content-Length`, `Content-Encoding` (bodies are passed on decoded), `Origin` and the questions of a preflight.
 * `Accept-Encoding` becomes `identity`, so that records can be watched. `X-Forwarded-*` stay as they are.
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
 * What of a backend's headers goes to a client. CORS is answered here, so what a backend says of it is dropped.
 *
 * @category headers
 * @since 0.1.0
 */
export const returnHeaders = (raw: ReadonlyArray<string>): Array<string> => kept(raw, notReturned)
