/**
 * The redirects of Ollama: Go's `ServeMux` to a clean path, gin to a path without the slash at its end. It does not use
 * the router's reader of paths, so that tests compare two independent readers.
 *
 * @since 0.1.0
 */

import type { SimulatedRequest } from "./reply.ts"

/** The path and the query of a target, which may be an absolute URL. */
const split = (target: string): readonly [path: string, query: string] => {
  const relative = target.replace(/^https?:\/\/[^/?]*/i, "")
  const at = relative.search(/\?|$/)
  return [relative.slice(0, at), relative.slice(at)]
}

/** As `ServeMux` cleans a path before it decodes it. */
const clean = (path: string): string => {
  if (path === "") return "/"
  let made = path.replace(/\/{2,}/g, "/").replace(/\/(\.\/)+/g, "/").replace(/\/\.$/, "")
  // Segments and their `..`, from the left: what is left of the first one is the root.
  for (let next = ""; (next = made.replace(/(^|\/[^/]+)\/\.\.(\/|$)/, (_, _before, end) => end)) !== made;) made = next
  return made.startsWith("/") ? made : `/${made}`
}

const decode = (path: string): string => {
  try {
    return decodeURIComponent(path)
  } catch {
    return path
  }
}

/**
 * What becomes of a target: the path that is looked up, or where the client is sent first.
 *
 * @category models
 * @since 0.1.0
 */
export type Target = { readonly path: string } | { readonly status: 301 | 307; readonly location: string }

/**
 * Reads a request's target. `takes` says whether a path has an endpoint for the method.
 *
 * @category decoding
 * @since 0.1.0
 */
export const read = (
  { method, path: target }: SimulatedRequest,
  takes: (method: string, path: string) => boolean,
): Target => {
  const [raw, query] = split(target)
  const cleaned = clean(raw)
  if (cleaned !== raw) return { status: 307, location: cleaned + query }
  const path = decode(raw)
  const shorter = path.slice(0, -1)
  if (path.length < 2 || !path.endsWith("/") || takes(method, path) || !takes(method, shorter)) return { path }
  return { status: method === "GET" ? 301 : 307, location: encodeURI(shorter) + query }
}
