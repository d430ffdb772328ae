/**
 * A fake Ollama that uses as little CPU as JavaScript allows, because what it uses on the load's core is missing for
 * the load. It writes prebuilt answers to raw sockets, and counts the spans that it gets as a collector.
 * `node bench/upstream.ts PORT`
 */
import { createServer, type Socket } from "node:net"
import { openaiAnswers } from "./peers/openai.ts"
import { answers, marks, whole } from "./wire.ts"

const DRIP_EVERY_MS = 1000

/** The answers to one kind of chat. */
type Chat = Pick<typeof answers, "json" | "stream" | "dripFirst" | "dripNext">

/**
 * All streams under way advance by one chunk in a turn of the event loop, as the tokens of concurrent generations do.
 */
const underWay = new Map<Socket, { readonly chunks: ReadonlyArray<Buffer>; next: number }>()

const turn = () => {
  for (const [socket, progress] of underWay) {
    socket.write(progress.chunks[progress.next++]!)
    if (progress.next === progress.chunks.length) underWay.delete(socket)
  }
  if (underWay.size > 0) setImmediate(turn)
}

const stream = (socket: Socket, chunks: ReadonlyArray<Buffer>) => {
  if (underWay.size === 0) setImmediate(turn)
  underWay.set(socket, { chunks, next: 0 })
}

const drip = (socket: Socket, { dripFirst, dripNext }: Chat) => {
  socket.write(dripFirst)
  const timer = setInterval(() => socket.write(dripNext), DRIP_EVERY_MS)
  socket.once("close", () => clearInterval(timer))
}

/** As a collector: spans that have come. */
let spans = 0
const spanMark = Buffer.from('"spanId":')

/** Links have the mark, too. There are none in the loads of the bench. */
const collect = (body: Buffer): void => {
  for (let at = body.indexOf(spanMark); at >= 0; at = body.indexOf(spanMark, at + 1)) spans++
}

const has = (body: Buffer, marks: ReadonlyArray<Buffer>) => marks.some((mark) => body.includes(mark))

const chat = (socket: Socket, body: Buffer, answers: Chat, streams: boolean) => {
  if (!streams) return socket.write(answers.json)
  return body.includes(marks.drip) ? drip(socket, answers) : stream(socket, answers.stream)
}

const answer = (socket: Socket, target: string, body: Buffer) => {
  switch (target) {
    case "POST /api/chat":
      if (body.includes(marks.download)) return socket.write(answers.download)
      return chat(socket, body, answers, !has(body, marks.unary))
    case "POST /v1/chat/completions":
      // Unlike in Ollama's own API, an answer is not a stream unless the client asks for one.
      return chat(socket, body, openaiAnswers, has(body, marks.stream))
    case "GET /":
      return socket.write(answers.alive)
    case "GET /api/version":
      return socket.write(answers.version)
    case "GET /api/tags":
      return socket.write(answers.tags)
    case "GET /api/ps":
      return socket.write(answers.ps)
    case "POST /api/show":
      return socket.write(answers.show)
    case "POST /api/embed":
      return socket.write(answers.embed)
    case "POST /api/generate":
      return socket.write(answers.load)
    case "POST /v1/traces":
      collect(body)
      return socket.write(whole("{}"))
    case "GET /v1/traces":
      return socket.write(whole(String(spans)))
    default:
      return socket.write(answers.notFound)
  }
}

/** Where the body starts and ends, or `undefined` while bytes are missing. */
const frame = (
  bytes: Buffer,
  head: string,
  bodyAt: number,
): { readonly from: number; readonly to: number } | undefined => {
  if (/\r\ntransfer-encoding: *chunked/i.test(head)) {
    const end = bytes.indexOf("0\r\n\r\n", bodyAt)
    return end < 0 ? undefined : { from: bodyAt, to: end + 5 }
  }
  const length = /\r\ncontent-length: *(\d+)/i.exec(head)
  const to = bodyAt + (length ? Number(length[1]) : 0)
  return to > bytes.length ? undefined : { from: bodyAt, to }
}

createServer({ noDelay: true }, (socket) => {
  let pending: Buffer | undefined
  socket.on("data", (received: Buffer) => {
    const bytes = pending ? Buffer.concat([pending, received]) : received
    pending = bytes
    const headEnd = bytes.indexOf("\r\n\r\n")
    if (headEnd < 0) return
    const head = bytes.toString("latin1", 0, headEnd)
    const body = frame(bytes, head, headEnd + 4)
    if (!body) return
    // No client pipelines, so there is only one request to read.
    pending = undefined
    answer(socket, head.slice(0, head.indexOf(" HTTP/")), bytes.subarray(body.from, body.to))
  })
  socket.on("close", () => underWay.delete(socket))
  socket.on("error", () => {})
}).listen({ port: Number(process.argv[2]), host: "127.0.0.1", backlog: 4096 })
