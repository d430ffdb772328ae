/** Many streams held open at the same time. Each of them must really receive data. */
import type { Socket } from "node:net"
import { setTimeout as sleep } from "node:timers/promises"
import { open, type Post, post } from "./connection.ts"

export interface OpenStreamsAsk extends Post {
  readonly streams: number
  readonly seconds: number
  /** Called when all streams are open, and from then on four times a second. */
  readonly observe: () => void
}

export interface OpenStreams {
  /** Streams that received about one chunk a second until the end. */
  readonly receiving: number
  readonly chunks: number
  readonly seconds: number
}

/** Streams are opened in steps, so that no listen queue overflows. */
const STEP = 50
const STEP_MS = 25
const FIRST_CHUNK_WITHIN_MS = 20_000

export const openStreams = async (
  { streams, seconds, observe, ...ask }: OpenStreamsAsk,
): Promise<OpenStreams> => {
  const request = post(ask)
  const received = new Uint32Array(streams)
  const sockets: Array<Socket> = []

  const begin = async (index: number) => {
    const socket = await open(ask.port, { data: () => received[index]!++, closed: () => {} })
    sockets.push(socket)
    socket.write(request)
  }
  const count = (atLeast: number) => received.reduce((sum, chunks) => chunks >= atLeast ? sum + 1 : sum, 0)

  try {
    for (let from = 0; from < streams; from += STEP) {
      await Promise.all(Array.from({ length: Math.min(STEP, streams - from) }, (_, index) => begin(from + index)))
      await sleep(STEP_MS)
    }
    const giveUp = performance.now() + FIRST_CHUNK_WITHIN_MS
    while (count(1) < streams && performance.now() < giveUp) await sleep(50)

    received.fill(0)
    const began = performance.now()
    observe()
    while (performance.now() < began + seconds * 1000) {
      await sleep(250)
      observe()
    }
    const lasted = (performance.now() - began) / 1000
    return {
      // One chunk may be missing at the ends of the window.
      receiving: count(Math.max(1, Math.floor(lasted) - 1)),
      chunks: received.reduce((sum, chunks) => sum + chunks, 0),
      seconds: lasted,
    }
  } finally {
    for (const socket of sockets) socket.destroy()
  }
}
