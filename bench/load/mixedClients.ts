/** The clients of the mixed load: patient ones, impatient ones, slow ones, and such with large bodies. */
import type { Socket } from "node:net"
import { setTimeout as sleep } from "node:timers/promises"
import { asks } from "../wire.ts"
import { open, post } from "./connection.ts"
import type { Kind } from "./mixed.ts"

const WITHIN_MS = 20_000
/** How long a slow stream is read, at one chunk a second. */
const SLOW_MS = 5000

/** A connection that carries one request after the other. */
interface Line {
  readonly socket: Socket
  readonly ask: (request: Buffer) => Promise<boolean>
}

const dial = async (port: number): Promise<Line> => {
  let settle = (_ok: boolean) => {}
  const socket = await open(port, { answered: (status) => settle(status === 200), closed: () => settle(false) })
  const ask = (request: Buffer) =>
    new Promise<boolean>((resolve) => {
      const late = setTimeout(() => socket.destroy(), WITHIN_MS)
      settle = (ok) => {
        clearTimeout(late)
        resolve(ok)
      }
      socket.write(request)
    })
  return { socket, ask }
}

/** Connections that are kept and used again, most recently used first. */
const pool = (port: number) => {
  const idle: Array<Line> = []
  const ask = async (request: Buffer): Promise<boolean> => {
    let line = idle.pop()
    while (line?.socket.destroyed) line = idle.pop()
    line ??= await dial(port)
    const ok = await line.ask(request)
    if (ok) idle.push(line)
    else line.socket.destroy()
    return ok
  }
  const close = () => {
    for (const { socket } of idle) socket.destroy()
  }
  return { ask, close }
}

/** Opens a connection for one request, and closes it after the answer. */
const once = async (port: number, request: Buffer): Promise<boolean> => {
  const line = await dial(port)
  const ok = await line.ask(request)
  line.socket.destroy()
  return ok
}

/** Leaves `after` milliseconds after the first bytes of the answer. True if the answer still went on then. */
const leave = async (port: number, request: Buffer, after: number): Promise<boolean> => {
  const { promise, resolve } = Promise.withResolvers<boolean>()
  let whole: number | undefined
  const socket = await open(port, {
    data: () => resolve(true),
    answered: (status) => whole = status,
    closed: () => resolve(false),
  })
  const late = setTimeout(() => resolve(false), WITHIN_MS)
  socket.write(request)
  const began = await promise
  clearTimeout(late)
  if (began && after > 0) await sleep(after)
  const lasted = !socket.destroyed
  socket.destroy()
  // Nothing was to be left if the answer is already whole. If all came at once, it may be a stream or an error.
  return began && lasted && (whole === undefined || after === 0 && whole === 200)
}

/** Leaves in the middle of its own request. */
const giveUp = async (port: number, request: Buffer): Promise<boolean> => {
  const socket = await open(port, { closed: () => {} })
  await new Promise((resolve) => socket.write(request.subarray(0, request.length >> 1), resolve))
  socket.destroy()
  return true
}

/** Together they keep a hand-written proxy on one core of a small machine about a third busy. */
export const clients = (port: number): { readonly kinds: ReadonlyArray<Kind>; readonly close: () => void } => {
  const { ask, close } = pool(port)
  const [json, stream, drip, upload, download] = [asks.json, asks.stream, asks.drip, asks.upload, asks.download]
    .map((body) => post({ port, body })) as [Buffer, Buffer, Buffer, Buffer, Buffer]
  const kinds: ReadonlyArray<Kind> = [
    { name: "400-byte JSON", perSecond: 1000, atOnce: 64, play: () => ask(json) },
    { name: "64-chunk streams", perSecond: 60, atOnce: 32, play: () => ask(stream) },
    { name: "JSON on a new connection", perSecond: 30, atOnce: 32, play: () => once(port, json) },
    { name: "streams that the client leaves at once", perSecond: 20, atOnce: 32, play: () => leave(port, stream, 0) },
    { name: "slow streams", perSecond: 20, atOnce: 200, play: () => leave(port, drip, SLOW_MS) },
    { name: "requests of 1 MiB", perSecond: 4, atOnce: 8, play: () => ask(upload) },
    { name: "requests that the client gives up", perSecond: 2, atOnce: 8, play: () => giveUp(port, upload) },
    { name: "answers of 1 MiB", perSecond: 4, atOnce: 8, play: () => ask(download) },
  ]
  return { kinds, close }
}
