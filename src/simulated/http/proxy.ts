/**
 * A proxy in front of Ollama that asks for credentials. Ollama itself asks for none.
 *
 * @since 0.1.0
 */
import type { Reply } from "./reply.ts"

/**
 * Whether a call has the headers that the proxy asks for. Returns `false` if that has answered the call: with 401 and a
 * page, as nginx does.
 *
 * @category combinators
 * @since 0.1.0
 */
export const passesProxy = (reply: Reply, credentials: Readonly<Record<string, string>>): boolean => {
  const { headers } = reply.request
  for (const [wanted, value] of Object.entries(credentials)) {
    const at = headers.findIndex((name, index) => index % 2 === 0 && name.toLowerCase() === wanted.toLowerCase())
    if (at >= 0 && headers[at + 1] === value) continue
    const page = "<html><head><title>401 Authorization Required</title></head></html>"
    reply.whole(401, "text/html", page, ["Www-Authenticate", `Basic realm="ollama"`])
    return false
  }
  return true
}
