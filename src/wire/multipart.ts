/**
 * Reads the envelope of a form. Transcription calls send `multipart/form-data` instead of JSON.
 *
 * `effect/http` MultipartParser does not fit: it gives the value of a field but not its place in the body, which a
 * rewrite of `model` needs, and it copies a body (an audio file of megabytes) before it reads it.
 *
 * @since 0.1.0
 */
import { type Refusal, refuse } from "../services/Refusal.ts"
import type { Envelope } from "../services/RoutedRequest.ts"
import type { Draft } from "./draft.ts"
import { text } from "./json.ts"

const encoder = new TextEncoder()
const dashes = [0x0d, 0x0a, 0x2d, 0x2d]

/** The index of `needle` at or after `at`; -1 when it is not there. It starts with a carriage return, rare in data. */
const indexOf = (bytes: Uint8Array, needle: Uint8Array, at: number): number => {
  for (;;) {
    const found = bytes.indexOf(needle[0]!, at)
    if (found < 0 || found + needle.length > bytes.length) return -1
    let same = 1
    while (same < needle.length && bytes[found + same] === needle[same]) same++
    if (same === needle.length) return found
    at = found + 1
  }
}

const startsWith = (bytes: Uint8Array, prefix: Uint8Array): boolean => prefix.every((byte, i) => bytes[i] === byte)

const blankLine = new Uint8Array([0x0d, 0x0a, 0x0d, 0x0a])
const boundaryOf = (contentType: string) => /;\s*boundary=(?:"([^"]+)"|([^;\s]+))/i.exec(contentType)
const nameOf = (head: string) => /^content-disposition:[^\r\n]*;\s*name=(?:"([^"]*)"|([^;\s]+))/im.exec(head)

const take = (into: Draft, body: Uint8Array, name: string, start: number, end: number): string => {
  if (name === "model") {
    if (into.modelSpan !== undefined) return `duplicate field "model"`
    into.model = text(body, start, end)
    into.modelSpan = { start, end }
  } else if (name === "stream") {
    if (into.stream !== undefined) return `duplicate field "stream"`
    into.stream = text(body, start, end) === "true"
  } else if (name === "prompt") into.promptBytes += end - start
  return ""
}

/** Reads `model`, `stream` and `prompt` of a form. Refusals use the words of Go's `mime/multipart`. @internal */
export const scanMultipart = (into: Draft, body: Uint8Array, contentType: string): Envelope | Refusal => {
  into.emptyPrompt = false
  const boundary = /^multipart\/form-data\b/i.test(contentType) ? boundaryOf(contentType) : null
  if (boundary === null) return refuse("BadRequest", "request Content-Type isn't multipart/form-data")
  if (body.length === 0) return refuse("BadRequest", "missing request body")
  const name = encoder.encode(boundary[1] ?? boundary[2]!)
  // The limit of RFC 2046, 5.1.1. A client could make the search below as slow as it likes with a longer one.
  if (name.length > 70) return refuse("BadRequest", "multipart: boundary too long")
  const delimiter = new Uint8Array([...dashes, ...name])
  const opening = delimiter.subarray(2)
  // The first delimiter may lack the line break before it. That line break would have been at -2.
  let at = startsWith(body, opening) ? -2 : indexOf(body, delimiter, 0)
  if (at === -1) return refuse("BadRequest", "multipart: NextPart: EOF")
  at += delimiter.length
  for (;;) {
    if (body[at] === 0x2d && body[at + 1] === 0x2d) return into
    const headEnd = indexOf(body, blankLine, at)
    const end = headEnd < 0 ? -1 : indexOf(body, delimiter, headEnd + 2)
    if (end < 0) return refuse("BadRequest", "multipart: NextPart: EOF")
    const field = nameOf(text(body, at, headEnd).trim())
    const wrong = field === null ? "" : take(into, body, field[1] ?? field[2]!, headEnd + 4, Math.max(end, headEnd + 4))
    if (wrong !== "") return refuse("BadRequest", wrong)
    at = end + delimiter.length
  }
}
