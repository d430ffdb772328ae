/** Many keep-alive connections on which nothing happens. Each of them must really serve, before and after. */
import { readFileSync } from "node:fs"
import type { Socket } from "node:net"
import { setTimeout as sleep } from "node:timers/promises"
import { open, post } from "./connection.ts"

export interface IdleConnectionsAsk {
  readonly port: number
  readonly body: string
  readonly connections: number
  readonly seconds: number
  /** Called when all connections are open and idle, and from then on four times a second. */
  readonly observe: () => void
}

/** Connections are opened and used in steps, so that no listen queue overflows. */
const STEP = 100
const ANSWER_WITHIN_MS = 20_000
/** Files that a process needs beside its connections. */
const SPARE_FILES = 500
/** A client's address has only 28,000 free ports by default, and other loads use some of them. */
const ADDRESSES = 8

/** The highest number of files that this process may open; its children inherit it. */
const filesMax = (): number => {
  try {
    return Number(/^Max open files\s+(\d+)/m.exec(readFileSync("/proc/self/limits", "utf8"))?.[1] ?? Infinity)
  } catch {
    return Infinity
  }
}

/** Only Linux answers at every address of 127.0.0.0/8 without being told to. */
export const addressOf = (index: number, platform: NodeJS.Platform = process.platform): string =>
  platform === "linux" ? `127.0.0.${2 + index % ADDRESSES}` : "127.0.0.1"

/** Why so many connections cannot be held here, if so. */
export const tooMany = (connections: number, files = filesMax()): string | undefined => {
  const needed = connections + SPARE_FILES
  return files >= needed ? undefined : `${connections} connections need ${needed} open files: ulimit -n says ${files}`
}

interface Idler {
  readonly socket: Socket
  /** Sends one request; false if it is not answered with 200. */
  readonly serves: () => Promise<boolean>
}

const dial = async (port: number, index: number, request: Buffer): Promise<Idler> => {
  let settle = (_ok: boolean) => {}
  let closed = false
  const socket = await open(port, {
    answered: (status) => settle(status === 200),
    closed: () => {
      closed = true
      settle(false)
    },
  }, addressOf(index))
  const serves = () =>
    new Promise<boolean>((resolve) => {
      if (closed) return resolve(false)
      const late = setTimeout(() => resolve(false), ANSWER_WITHIN_MS)
      settle = (ok) => {
        clearTimeout(late)
        resolve(ok)
      }
      socket.write(request)
    })
  return { socket, serves }
}

const inSteps = async (count: number, does: (index: number) => Promise<boolean>): Promise<number> => {
  let done = 0
  for (let from = 0; from < count; from += STEP) {
    const indices = Array.from({ length: Math.min(STEP, count - from) }, (_, index) => from + index)
    done += (await Promise.all(indices.map(does))).filter(Boolean).length
  }
  return done
}

/** The number of connections that answered a request at the start and another one at the end. */
export const idleConnections = async (
  { port, body, connections, seconds, observe }: IdleConnectionsAsk,
): Promise<number> => {
  const impossible = tooMany(connections)
  if (impossible !== undefined) throw new Error(impossible)
  const request = post({ port, body })
  const idlers: Array<Idler> = []
  try {
    await inSteps(connections, async (index) => {
      const idler = await dial(port, index, request)
      const ok = await idler.serves()
      if (ok) idlers.push(idler)
      else idler.socket.destroy()
      return ok
    })
    const until = performance.now() + seconds * 1000
    observe()
    while (performance.now() < until) {
      await sleep(250)
      observe()
    }
    return await inSteps(idlers.length, (index) => idlers[index]!.serves())
  } finally {
    // With a reset, the ports are free at once and not a minute later.
    for (const { socket } of idlers) socket.resetAndDestroy()
  }
}
