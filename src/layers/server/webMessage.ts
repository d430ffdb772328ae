/**
 * Converts between web requests and responses and lists of names and values.
 *
 * @since 0.1.0
 */

/** The headers as names and values in turn. @internal */
export const rawOf = (headers: Headers): Array<string> => {
  const raw: Array<string> = []
  headers.forEach((value, name) => raw.push(name, value))
  return raw
}

/** Names and values in turn, as pairs. @internal */
export const pairs = (raw: ReadonlyArray<string>): Array<[string, string]> =>
  raw.flatMap((name, i) => i % 2 === 0 ? [[name, raw[i + 1]!] as [string, string]] : [])

/** The path and query of a URL. Making a `URL` for each request would cost more. @internal */
export const targetOf = (url: string): string => {
  const slash = url.indexOf("/", url.indexOf("://") + 3)
  return slash < 0 ? "/" : url.slice(slash)
}

/** The host of a URL, for hosts that do not give the header `Host` to the handler. @internal */
export const hostOf = (url: string): string => {
  const from = url.indexOf("://") + 3
  const end = url.indexOf("/", from)
  return end < 0 ? url.slice(from) : url.slice(from, end)
}

/** A request for another path and query of the same origin; the same request where they do not differ. @internal */
export const withTarget = (request: Request, before: string, after: string): Request =>
  before === after ? request : new Request(new URL(after, request.url), request)

/** A response with more headers. @internal */
export const withHeaders = (response: Response, raw: ReadonlyArray<string>): Response => {
  const headers = new Headers(response.headers)
  for (let i = 0; i + 1 < raw.length; i += 2) headers.append(raw[i]!, raw[i + 1]!)
  return new Response(response.body, { status: response.status, statusText: response.statusText, headers })
}
