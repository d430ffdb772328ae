/** Closed loop where wrk is not installed: costs about ten times wrk's CPU, so the load may be what limits fast proxies. */
import type { EventEmitter } from "node:events"
import { createRequire } from "node:module"
import { percentile } from "../statistics.ts"
import type { ClosedLoop } from "./closedLoop.ts"

interface Result {
  readonly duration: number
  readonly errors: number
  readonly non2xx: number
}
type Run = EventEmitter & PromiseLike<Result>

export const autocannon: ClosedLoop = async ({ port, body, connections, seconds }) => {
  // It ships no types.
  const run = createRequire(import.meta.url)("autocannon") as (options: object) => Run
  const took: Array<number> = []
  const load = run({
    url: `http://127.0.0.1:${port}/api/chat`,
    method: "POST",
    headers: { "content-type": "application/json" },
    body,
    connections,
    duration: seconds,
  })
  // Its own percentiles are whole milliseconds.
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
