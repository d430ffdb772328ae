/**
 * Open loop: requests are due at a fixed rate, even if earlier ones are not answered yet. Each is timed from the moment
 * it was due. So a pause of the proxy counts for every request that would have come during it (no coordinated
 * omission).
 */
import type { Socket } from "node:net"
import { setImmediate as nextTurn, setTimeout as sleep } from "node:timers/promises"
import { percentile } from "../statistics.ts"
import type { Answered } from "./closedLoop.ts"
import { open, type Post, post } from "./connection.ts"

export interface PacedAsk extends Post {
  readonly rate: number
  readonly seconds: number
}

interface Line {
  readonly socket: Socket
  /** Number of the request that it carries; -1 when idle. */
  carries: number
}

const CONNECTIONS = 64
/**
 * Seconds at the start that are not counted: connections that were closed while other targets had their turn are opened
 * again.
 */
const LEAD_IN_SECONDS = 0.5
/** How long to wait for answers after the last request was due. An answer that is missing then counts as that late. */
const GRACE_MS = 2000
/**
 * Timers are whole milliseconds and up to one late, so they are used only while nothing is due for longer than this.
 */
const TIMER_MS = 2.5
const NAP_MS = 0.1

const cell = new Int32Array(new SharedArrayBuffer(4))

/** Waits at most `ms` for answers or for the next request to be due. */
const rest = (ms: number): Promise<void> => {
  if (ms > TIMER_MS) return sleep(1)
  // A nap is far shorter than a timer. No answer is read during it, but unlike a busy loop it leaves the core to the
  // upstream.
  if (ms > 0) Atomics.wait(cell, 0, 0, Math.min(ms, NAP_MS))
  return nextTurn()
}

export const paced = async ({ rate, seconds, ...ask }: PacedAsk): Promise<Answered> => {
  const request = post(ask)
  const every = 1000 / rate
  const planned = Math.round(rate * (seconds + LEAD_IN_SECONDS))
  const took = new Float64Array(planned).fill(NaN)
  const lines = new Set<Line>()
  const idle: Array<Line> = []
  let start = Infinity
  let asked = 0
  let settled = 0
  let errors = 0
  let over = false

  const due = (index: number) => start + index * every

  const settle = (line: Line, ok: boolean) => {
    took[line.carries] = performance.now() - due(line.carries)
    line.carries = -1
    settled++
    if (!ok) errors++
  }

  const dial = async () => {
    const socket = await open(ask.port, {
      answered: (status) => {
        settle(line, status === 200)
        idle.push(line)
      },
      closed: () => {
        if (over || !lines.delete(line)) return
        if (line.carries >= 0) settle(line, false)
        else idle.splice(idle.indexOf(line), 1)
        dial().catch(() => errors++)
      },
    })
    const line: Line = { socket, carries: -1 }
    lines.add(line)
    idle.push(line)
  }

  await Promise.all(Array.from({ length: CONNECTIONS }, dial))
  start = performance.now()
  const giveUp = due(planned) + GRACE_MS
  let now = start
  while (settled < planned && now < giveUp) {
    while (asked < planned && due(asked) <= now && idle.length > 0) {
      const line = idle.shift()!
      line.carries = asked++
      line.socket.write(request)
    }
    await rest((asked < planned ? due(asked) : giveUp) - performance.now())
    now = performance.now()
  }
  over = true
  for (const { socket } of lines) socket.destroy()

  const counted = took.map((ms, index) => Number.isNaN(ms) ? now - due(index) : ms)
    .subarray(Math.round(rate * LEAD_IN_SECONDS)).sort()
  return {
    answers: settled,
    seconds: (now - start) / 1000,
    p50: percentile(counted, 0.5),
    p95: percentile(counted, 0.95),
    p99: percentile(counted, 0.99),
    errors,
  }
}
