/** Whether bytes from a server are answers as HTTP and the dialects have them. */
import type { Request } from "./requests.ts"

export interface Answer {
  readonly status: number
  readonly headers: ReadonlyMap<string, string>
  readonly body: string
  /** Whether the body came to its end. */
  readonly isWhole: boolean
}

const bodyOf = (text: string, headers: ReadonlyMap<string, string>, status: number, closed: boolean) => {
  if (status < 200 || status === 204 || status === 304) return { body: "", length: 0, isWhole: true }
  if (headers.get("transfer-encoding") === "chunked") {
    let body = ""
    for (let at = 0;;) {
      const from = text.indexOf("\r\n", at) + 2
      const size = parseInt(text.slice(at, from), 16)
      if (from < 2 || !(size >= 0)) return { body, length: text.length, isWhole: false }
      if (size === 0) return { body, length: from + 2, isWhole: text.startsWith("\r\n", from) }
      if (from + size > text.length) return { body: body + text.slice(from), length: text.length, isWhole: false }
      body += text.slice(from, from + size)
      at = from + size + 2
    }
  }
  const length = Number(headers.get("content-length") ?? (closed ? text.length : NaN))
  return { body: text.slice(0, length), length, isWhole: text.length >= length }
}

/** The answers in what a socket received, interim ones left out. */
export const answersIn = (received: Buffer, closed: boolean): ReadonlyArray<Answer> => {
  const all: Array<Answer> = []
  for (let text = received.toString("latin1"); text !== "";) {
    const end = text.indexOf("\r\n\r\n")
    const [line = "", ...lines] = text.slice(0, Math.max(0, end)).split("\r\n")
    const status = Number(/^HTTP\/1\.1 (\d{3}) /.exec(line)?.[1] ?? NaN)
    const headers = new Map(lines.map((one) => {
      const colon = one.indexOf(":")
      return [one.slice(0, colon).toLowerCase(), one.slice(colon + 1).trim()]
    }))
    if (Number.isNaN(status)) return [...all, { status: NaN, headers, body: text, isWhole: false }]
    const { body, isWhole, length } = bodyOf(text.slice(end + 4), headers, status, closed)
    if (status >= 200) all.push({ status, headers, body, isWhole })
    if (!isWhole) return all
    text = text.slice(end + 4 + length)
  }
  return all
}

const statuses = [200, 204, 307, 400, 401, 403, 404, 405, 408, 413, 415, 417, 429, 431, 500, 501, 502, 503, 504]

const isJson = (text: string): boolean => {
  try {
    return typeof JSON.parse(text) === "object"
  } catch {
    return false
  }
}

/** The parts of an error that its dialect has: Ollama's own is a text. */
const errorParts = (path: string | undefined): ReadonlyArray<"text" | "typed" | "anthropic"> => {
  if (path === undefined) return ["text", "typed", "anthropic"]
  if (path === "/v1/messages") return ["anthropic"]
  return path.startsWith("/v1/") ? ["typed"] : ["text"]
}

const isErrorBody = (text: string, path: string | undefined): boolean => {
  if (!isJson(text)) return false
  const { error, request_id, type } = JSON.parse(text)
  const isTyped = typeof error?.message === "string" && typeof error.type === "string"
  const is = {
    text: typeof error === "string" && error !== "",
    typed: isTyped,
    anthropic: isTyped && type === "error" && String(request_id).startsWith("req_"),
  }
  return errorParts(path).some((part) => is[part])
}

const errorFault = (answer: Answer, request: Request | undefined): string | undefined => {
  const { body, headers, status } = answer
  if (headers.get("content-type")?.startsWith("application/json") === true) {
    return isErrorBody(body, request?.path) ? undefined : `${status} without an error`
  }
  // As in Ollama, which answers an unknown path or method in plain text, and a forbidden page with nothing.
  const isPlain = request?.path === undefined ? [403, 404, 405].includes(status) : request.hasOrigin && status === 403
  // Node answers an unknown `Expect` by itself, without a body, as Go does.
  return isPlain || (status === 417 && body === "") ? undefined : `${status} without a body`
}

/**
 * What is wrong with the shape of an answer. `request`: the request, where it is whole. `toNoise`: it was no HTTP, so a
 * stream may be cut.
 */
export const shapeFault = (answer: Answer, request: Request | undefined, toNoise: boolean): string | undefined => {
  const { body, headers, isWhole, status } = answer
  if (!statuses.includes(status)) return `status ${status}`
  if (/internal error|undefined|\[object/.test(body)) return "an internal error"
  if (!isWhole) return toNoise && status < 400 ? undefined : "an answer that is cut short"
  if (status >= 400) return errorFault(answer, request)
  const type = headers.get("content-type") ?? ""
  if (type.startsWith("application/x-ndjson")) {
    return body.endsWith("\n") && body.trimEnd().split("\n").every(isJson) ? undefined : "bad records"
  }
  if (type.startsWith("text/event-stream")) {
    return body.endsWith("\n\n") &&
        body.trimEnd().split("\n\n").every((event) => /^(:|event: \S+\ndata: |data: )/.test(event))
      ? undefined
      : "bad events"
  }
  return type.startsWith("application/json") && !isJson(body) ? "bad JSON" : undefined
}
