/** Closed loop: every connection sends its next request as soon as it is answered. */
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { output, scratch } from "../processes.ts"
import type { ClosedLoop } from "./closedLoop.ts"
import { CHAT } from "./connection.ts"

/** wrk prints no 95th percentile, so a script prints the figures, in wrk's microseconds. */
const script = (body: string, headers: Readonly<Record<string, string>>) => `
wrk.method = "POST"
wrk.body = [==[${body}]==]
${
  Object.entries({ "Content-Type": "application/json", ...headers })
    .map(([name, value]) => `wrk.headers["${name}"] = "${value}"`).join("\n")
}
done = function(summary, latency)
  local e = summary.errors
  io.write(string.format('\\nRESULT {"micros":%d,"answers":%d,"p50":%d,"p95":%d,"p99":%d,"errors":%d}\\n',
    summary.duration, summary.requests, latency:percentile(50), latency:percentile(95), latency:percentile(99),
    e.connect + e.read + e.write + e.status + e.timeout))
end
`

export const wrk = (file: string): ClosedLoop => async (ask) => {
  const { port, path = CHAT, headers = {}, body, connections, seconds } = ask
  const program = join(scratch, "wrk.lua")
  writeFileSync(program, script(body, headers))
  const said = await output({
    file,
    args: [
      "-t1",
      `-c${connections}`,
      `-d${seconds}s`,
      "--timeout",
      "10s",
      "-s",
      program,
      `http://127.0.0.1:${port}${path}`,
    ],
  })
  const result = JSON.parse(/^RESULT (.*)$/m.exec(said)?.[1] ?? "null")
  if (result === null) throw new Error(`wrk printed no result: ${said}`)
  return {
    answers: result.answers,
    seconds: result.micros / 1e6,
    p50: result.p50 / 1000,
    p95: result.p95 / 1000,
    p99: result.p99 / 1000,
    errors: result.errors,
  }
}
