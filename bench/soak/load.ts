/**
 * An open loop of clients: a fixed rate of requests, even if earlier ones are not answered. Some clients read slowly,
 * stop reading, or leave.
 */
import { Agent, request } from "node:http"
import { setTimeout as sleep } from "node:timers/promises"
import { type Call, calls, endless, judge, long } from "./calls.ts"

export interface Tally {
  sent: number
  /** Complete and right. */
  whole: number
  /** Well-formed errors in their dialect, by status. An error record in a stream counts under 200. */
  readonly errors: Map<number, number>
  /** The client left. */
  left: number
  /** The client did not read and was cut off for it. */
  stalled: number
  /** An answer in one piece that its backend broke off: only a broken connection can tell the client. */
  broken: number
  /** Wrong answers, in words. */
  readonly wrong: Array<string>
}

type Manner = "reads" | "slow" | "stalls" | "leaves"

const manner = (n: number): Manner =>
  n % 50 === 7 ? "leaves" : n % 400 === 11 ? "slow" : n % 4000 === 13 ? "stalls" : "reads"

/** Longer than all limits of the router together: no client may wait that long. */
const answerWithinMillis = 60_000

const one = (
  url: URL,
  agent: Agent,
  call: Call,
  n: number,
  how: Manner,
): Promise<{ readonly verdict: string; readonly status: number }> =>
  new Promise((resolve) => {
    const body = JSON.stringify(call.body(n))
    let status = 0
    let text = ""
    let ended = false
    const end = (verdict: string): void => {
      ended = true
      clearTimeout(timer)
      resolve({ verdict, status })
    }
    const sent = request({
      agent,
      host: url.hostname,
      port: url.port,
      path: call.path,
      method: "POST",
      headers: { "content-type": "application/json", "content-length": body.length },
    })
    const timer = setTimeout(() => {
      sent.destroy()
      end(`no answer within ${answerWithinMillis} ms`)
    }, answerWithinMillis)
    sent.on("response", (response) => {
      status = response.statusCode ?? 0
      response.setEncoding("utf8")
      response.on("data", (part: string) => text += part)
      response.on("end", () => end(judge(call, status, text)))
      response.on("close", () =>
        end(response.complete ? judge(call, status, text) : how === "stalls" ? "stalled" : "broken off"))
      response.on("error", () => {})
      if (how === "slow" || how === "stalls") {
        response.pause()
        setTimeout(() =>
          response.resume(), how === "slow" ? 500 : 30_000)
      }
    })
    sent.on("error", (error) => end(how === "leaves" ? "left" : `socket: ${error.message}`))
    if (how === "leaves") {
      setTimeout(() => {
        // Its socket may already belong to another request.
        if (ended) return
        // With a reset, as from a process that dies.
        if (n % 3 === 0) sent.socket?.resetAndDestroy()
        sent.destroy()
        end("left")
      }, 5 + n % 40)
    }
    sent.end(body)
  })

export interface Load {
  readonly tally: Tally
  /** Resolves when every request has been answered. */
  readonly ended: Promise<void>
}

export const start = (base: string, perSecond: number, millis: number): Load => {
  const url = new URL(base)
  const agent = new Agent({ keepAlive: true, maxSockets: Infinity })
  const tally: Tally = { sent: 0, whole: 0, errors: new Map(), left: 0, stalled: 0, broken: 0, wrong: [] }
  const underWay = new Set<Promise<void>>()
  const ask = (): void => {
    const n = ++tally.sent
    const how = manner(n)
    const call = how === "slow" ? long : how === "stalls" ? endless : calls[n % calls.length]!
    const asked = one(url, agent, call, n, how).then(({ status, verdict }) => {
      underWay.delete(asked)
      if (verdict === "whole") tally.whole++
      else if (verdict === "error") tally.errors.set(status, (tally.errors.get(status) ?? 0) + 1)
      else if (verdict === "left") tally.left++
      else if (verdict === "stalled") tally.stalled++
      else if (!call.streams && (verdict === "broken off" || verdict === "socket: socket hang up")) tally.broken++
      else tally.wrong.push(`request ${n} to ${call.path} (${how}, ${status}): ${verdict}`)
    })
    underWay.add(asked)
  }
  const run = async (): Promise<void> => {
    const began = performance.now()
    for (let passed = 0; passed < millis; passed = performance.now() - began) {
      const due = Math.floor(passed * perSecond / 1000)
      while (tally.sent < due) ask()
      await sleep(10)
    }
    await Promise.all(underWay)
    agent.destroy()
  }
  return { tally, ended: run() }
}
