/**
 * Reads the path of a request as Ollama does. Go's `ServeMux` cleans a path and answers with a redirect to the clean
 * one, and Ollama's router then looks at the decoded path. Clients follow the redirect, so the router serves the clean
 * path at once. No library has these rules of Go.
 *
 * @since 0.1.0
 */

/** A target that is a path, without anything to clean or to decode, needs no work. */
const clean = /^\/(?:[^/.%?#][^/%?#]*(?:\/[^/.%?#][^/%?#]*)*\/?)?(?:\?|$)/

/** What a library that routes HTTP paths does not read as Ollama does. It decodes other percent escapes itself. */
const odd = /^[^/]|^[^?]*(?:\/\/|\/\.|%2f)/i

const unclean = /\/\/|\/\.\.?(?:\/|$)/

const origin = /^https?:\/\/[^/?]*/i

/** As Go's `path.Clean` does it for a path that begins with `/`. A slash at the end stays. */
const cleaned = (path: string): string => {
  const kept: Array<string> = []
  for (const part of path.split("/")) {
    if (part === "..") kept.pop()
    else if (part !== "" && part !== ".") kept.push(part)
  }
  const joined = `/${kept.join("/")}`
  return path.endsWith("/") && joined !== "/" ? `${joined}/` : joined
}

/** Bytes that are not UTF-8 stay as they are: no route has them. */
const decoded = (path: string): string => {
  try {
    return decodeURIComponent(path)
  } catch {
    return path
  }
}

/**
 * A request target (a path, perhaps with a query, or an absolute URL as forward proxies get it) as the path and query
 * that Ollama finally serves: `//api/chat`, `/api//chat`, `/./api/chat`, `/api%2Fchat` and `http://host/api/chat` are
 * all `/api/chat`. Upper and lower case differ. A slash at the end stays: whether it counts depends on the method.
 *
 * The path is percent-encoded once, so that a further reader decodes it to what Ollama reads.
 *
 * @category conversions
 * @since 0.1.0
 */
export const canonical = (target: string): string => {
  if (clean.test(target)) return target
  const relative = target.replace(origin, "")
  const at = relative.indexOf("?")
  const path = at < 0 ? relative : relative.slice(0, at)
  const query = at < 0 ? "" : relative.slice(at)
  const whole = cleaned(path)
  const read = decoded(whole)
  // Go cleans before it decodes: no route has an encoded dot segment or an encoded second slash.
  return (unclean.test(read) ? whole : encodeURI(read).replace(/[?#]/g, encodeURIComponent)) + query
}

/**
 * A target for routes of `HttpRouter`, which reads most spellings itself: the same text unless the router would read
 * another path than Ollama.
 *
 * @category conversions
 * @since 0.1.0
 */
export const forRoutes = (target: string): string => odd.test(target) ? canonical(target) : target
