/**
 * Ollama's rules on `Origin` and `Host`.
 *
 * @since 0.1.0
 */
import * as Hosts from "../../wire/hosts.ts"
import type { Reply } from "./reply.ts"

/** The end of the pattern `http://localhost:*` matches any text. */
const origins =
  /^(https?:\/\/(localhost|127\.0\.0\.1|0\.0\.0\.0)(:.*)?|(app|file|tauri|vscode-webview|vscode-file):\/\/.*)$/

/** Whether a page of this origin may call. */
const allowsOrigin = (origin: string, host: string | undefined): boolean =>
  origins.test(origin) || (host !== undefined && (origin === `http://${host}` || origin === `https://${host}`))

/**
 * Whether a URL is on loopback. Ollama checks `Host` only there.
 *
 * @category guards
 * @since 0.1.0
 */
export const isLoopback = (url: string): boolean => URL.canParse(url) && Hosts.isLoopback(new URL(url).hostname)

/** Headers of the answer to a preflight request from an allowed origin. */
const preflight: ReadonlyArray<string> = [
  "Access-Control-Allow-Headers",
  "Authorization,Content-Type,User-Agent,Accept,X-Requested-With,OpenAI-Beta,X-Stainless-Arch,X-Stainless-Async,X-Stainless-Custom-Poll-Interval,X-Stainless-Helper-Method,X-Stainless-Lang,X-Stainless-Os,X-Stainless-Package-Version,X-Stainless-Poll-Helper,X-Stainless-Retry-Count,X-Stainless-Runtime,X-Stainless-Runtime-Version,X-Stainless-Timeout",
  "Access-Control-Allow-Methods",
  "GET,POST,PUT,PATCH,DELETE,HEAD,OPTIONS",
  "Access-Control-Max-Age",
  "43200",
]

/**
 * Applies the rules on `Origin` and `Host`. Returns `false` if that has answered the request.
 *
 * @category combinators
 * @since 0.1.0
 */
export const passesAccess = (reply: Reply, loopback: boolean): boolean => {
  const { headers, method } = reply.request
  let origin: string | undefined
  let host: string | undefined
  for (let index = 0; index + 1 < headers.length; index += 2) {
    const name = (headers[index] ?? "").toLowerCase()
    if (name === "origin") origin = headers[index + 1]
    if (name === "host") host = headers[index + 1]
  }
  if (loopback && host !== undefined && !Hosts.isLocal(host)) {
    reply.whole(403, undefined, "")
    return false
  }
  if (origin === undefined || origin === "") return true
  if (!allowsOrigin(origin, host)) {
    reply.whole(403, undefined, "")
    return false
  }
  if (method === "OPTIONS") {
    reply.whole(204, undefined, "", [...preflight, "Access-Control-Allow-Origin", origin])
    return false
  }
  reply.extra.push("Access-Control-Allow-Origin", origin)
  return true
}
