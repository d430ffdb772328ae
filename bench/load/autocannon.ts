/**
 * Closed loop for machines without wrk. It takes about ten times wrk's CPU, so with fast proxies the load may be the
 * limit.
 */
import type { EventEmitter } from "node:events"
import { createRequire } from "node:module"
import { percentile } from "../statistics.ts"
import type { ClosedLoop } from "./closedLoop.ts"
import { CHAT } from "./connection.ts"

interface Result {
  readonly duration: number
  readonly errors: number
  readonly non2xx: number
}
type Run = EventEmitter & PromiseLike<Result>

export const autocannon: ClosedLoop = async ({ port, path = CHAT, headers, body, connections, seconds }) => {
  // The package has no types.
  const run = createRequire(import.meta.url)("autocannon") as (options: object) => Run
  const took: Array<number> = []
  const load = run({
    url: `http://127.0.0.1:${port}${path}`,
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body,
    connections,
    duration: seconds,
  })
  // autocannon's own percentiles are whole milliseconds.
  load.on("response", (_client: unknown, _status: number, _bytes: number, ms: number) => took.push(ms))
  const { duration, errors, non2xx } = await load
  const sorted = Float64Array.from(took).sort()
  return {
    answers: took.length,
    seconds: duration,
    p50: percentile(sorted, 0.5),
    p95: percentile(sorted, 0.95),
    p99: percentile(sorted, 0.99),
    errors: errors + non2xx,
  }
}
