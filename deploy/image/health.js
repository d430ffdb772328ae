/**
 * The health check of the image, which has no curl: status 0 where the server answers `/livez`.
 *
 * `/livez` and not `/readyz`: an orchestrator that restarts what is unhealthy mends no backend by that.
 */
import process from "node:process"

const { LLAMERO_HOST = "", LLAMERO_PORT, PORT } = process.env
const everywhere = ["", "0.0.0.0", "::", "[::]", "*"]
const host = everywhere.includes(LLAMERO_HOST) ? "127.0.0.1" : LLAMERO_HOST
const authority = host.includes(":") && !host.startsWith("[") ? `[${host}]` : host

try {
  const url = `http://${authority}:${LLAMERO_PORT || PORT || "11435"}/livez`
  const { status } = await fetch(url, { signal: AbortSignal.timeout(4000) })
  process.exit(status === 200 ? 0 : 1)
} catch (error) {
  console.error(String(error.cause ?? error))
  process.exit(1)
}
