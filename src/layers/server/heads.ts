/**
 * The heads of requests: how long they may be, and what is answered to one that is too long or cannot be read.
 *
 * @since 0.1.0
 */
import type { Buffer } from "node:buffer"
import { STATUS_CODES } from "node:http"
import type { Duplex } from "node:stream"
import { type Refusal, refuse } from "../../services/Refusal.ts"
import type { Endpoint } from "../../services/RoutedRequest.ts"
import { endpoints, find } from "../../wire/endpoints.ts"
import * as ErrorShapes from "../../wire/errorShapes.ts"

/**
 * Go lets a head be this much longer than its limit says (`initialReadLimitSize` in its `net/http`), so Ollama does,
 * too.
 */
const slack = 4096

/**
 * The limit of Node's parser, which gives up beyond it. It is far above the real one: a head between the two is read
 * whole, so that its path is known and the error has the shape of its dialect.
 *
 * @internal
 */
export const parserBytesMax = (headBytesMax: number): number => 2 * (headBytesMax + slack)

/** @internal */
export const tooLong: Refusal = refuse("BadRequest", "the head of the request is too long", { status: 431 })

/** HTTP/1.1 requires the header (RFC 9112, 3.2). In the words of Go. @internal */
export const noHost: Refusal = refuse("BadRequest", "missing required Host header")

/** Whether a head is too long: its target, its names and its values. @internal */
export const isTooLong = (target: string, rawHeaders: ReadonlyArray<string>, headBytesMax: number): boolean => {
  let bytes = target.length
  for (let i = 0; i < rawHeaders.length; i++) bytes += rawHeaders[i]!.length
  return bytes > headBytesMax + slack
}

const native = endpoints.find(({ dialect }) => dialect === "native")!
const openai = endpoints.find(({ dialect }) => dialect === "openai")!

/** The endpoint whose dialect the client of a path speaks. @internal */
export const dialectOf = (target: string): Endpoint => find(target) ?? (target.startsWith("/v1/") ? openai : native)

const refusals: Readonly<Record<string, Refusal>> = {
  HPE_HEADER_OVERFLOW: tooLong,
  HPE_CHUNK_EXTENSIONS_OVERFLOW: refuse("BodyTooLarge", "the chunk extensions of the request are too long"),
  ERR_HTTP_REQUEST_TIMEOUT: refuse("BadRequest", "the request did not come in time", { status: 408 }),
}
const unreadable = refuse("BadRequest", "the request is not valid HTTP/1.1")

/** How long a client may go on sending a head that is refused, in milliseconds. */
const lingerMillis = 5000

interface ClientError extends Error {
  readonly code?: string
  readonly rawPacket?: Buffer
}

/** What Node itself looks at before it answers an error. */
interface Answering {
  readonly _httpMessage?: { readonly _headerSent?: boolean } | null
}

const bytesOf = (refusal: Refusal, packet: Buffer | undefined, id: string): Uint8Array => {
  const target = /^[A-Z]+ (\S+)/.exec(packet?.toString("latin1", 0, 2048) ?? "")?.[1] ?? ""
  const { body, headers, status } = ErrorShapes.refusal(dialectOf(target), refusal, id)
  let head = `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nConnection: close\r\nX-Request-Id: ${id}\r\n`
  for (let i = 0; i < headers.length; i += 2) head += `${headers[i]}: ${headers[i + 1]}\r\n`
  const start = new TextEncoder().encode(`${head}\r\n`)
  const whole = new Uint8Array(start.length + body.length)
  whole.set(start)
  whole.set(body, start.length)
  return whole
}

/**
 * Answers requests that Node's parser refuses, with a body. Node's own answer has none.
 *
 * The connection is closed only when the client has closed its side, or after a time. If it were closed while the
 * client still sends, the client would get a reset in place of the answer.
 *
 * @internal
 */
export const onClientError = (nextId: () => string) => (error: ClientError, socket: Duplex): void => {
  // It is called again for each packet that comes after the first error.
  if (socket.writableEnded) return
  const begun = (socket as Answering)._httpMessage?._headerSent === true
  if (!socket.writable || begun || error.code === "ECONNRESET") return void socket.destroy()
  socket.end(bytesOf(refusals[error.code ?? ""] ?? unreadable, error.rawPacket, nextId()))
  const timer = setTimeout(() => socket.destroy(), lingerMillis)
  timer.unref()
  socket.once("close", () => clearTimeout(timer))
}
