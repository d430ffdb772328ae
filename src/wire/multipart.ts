/**
 * Reads the envelope of a form. Transcription calls send `multipart/form-data` instead of JSON.
 *
 * `effect/http` MultipartParser does not fit: it gives the value of a field but not its place in the body, which a
 * rewrite of `model` needs, and it copies a body (an audio file of megabytes) before it reads it. What a delimiter is,
 * and where a part ends, follows Go's `mime/multipart`, by which Ollama reads.
 *
 * @since 0.1.0
 */
import { Option } from "effect"
import { type Refusal, refuse } from "../services/Refusal.ts"
import type { Envelope, Span } from "../services/RoutedRequest.ts"
import type { Draft } from "./draft.ts"
import * as MediaType from "./mediaType.ts"

const encoder = new TextEncoder()
/** Go takes bytes as they are: no byte order mark is taken away, and nothing is replaced. */
const decoder = new TextDecoder("utf-8", { ignoreBOM: true, fatal: true })
const decode = Option.liftThrowable((bytes: Uint8Array): string => decoder.decode(bytes))
/** The text between two offsets; `undefined` where it is not UTF-8. */
const text = (bytes: Uint8Array, start: number, end: number): string | undefined =>
  Option.getOrUndefined(decode(bytes.subarray(start, end)))

const newline = 0x0a
const dash = 0x2d
const isBlank = (byte: number | undefined): boolean => byte === 0x20 || byte === 0x09

/** The index of `needle` at or after `at`; -1 when it is not there. It starts with a line break, rare in data. */
const indexOf = (bytes: Uint8Array, needle: Uint8Array, at: number): number => {
  for (;;) {
    const found = bytes.indexOf(needle[0]!, at)
    if (found < 0 || found + needle.length > bytes.length) return -1
    if (isAt(bytes, needle, found)) return found
    at = found + 1
  }
}

const isAt = (bytes: Uint8Array, needle: Uint8Array, at: number): boolean => {
  for (let i = 0; i < needle.length; i++) if (bytes[at + i] !== needle[i]) return false
  return true
}

/** A field with a value. Files are skipped. */
interface Field extends Span {
  readonly name: string
  /** Whether Ollama decodes the value. */
  readonly encoded: boolean
}

const eof = "multipart: NextPart: EOF"

/** Goes through a form. Each `next` is a field, `undefined` at the end, or what is wrong. */
class Form {
  private readonly body: Uint8Array
  /** `--boundary` */
  private readonly opening: Uint8Array
  /** The same after a line break. Go takes lines without a carriage return when the first delimiter has none. */
  private delimiter: Uint8Array
  private at = 0
  private parts = 0

  constructor(body: Uint8Array, boundary: string) {
    this.body = body
    this.delimiter = encoder.encode(`\r\n--${boundary}`)
    this.opening = this.delimiter.subarray(2)
  }

  next(): Field | string | undefined {
    for (;;) {
      const found = this.toPart()
      if (found !== "part") return found
      const head = this.head()
      if (typeof head === "string") return head
      const start = this.at
      const end = this.partEnd(start)
      if (end < 0) return eof
      this.at = end
      if (head.name !== "") return { ...head, start, end }
    }
  }

  /** Goes past the next delimiter. `undefined` where it is the last one. */
  private toPart(): string | undefined {
    const { body, opening } = this
    for (let broken = false;;) {
      const start = this.at
      const lineEnd = body.indexOf(newline, start)
      const isDelimiter = isAt(body, opening, start)
      const rest = this.afterBlanks(start + opening.length)
      const last = body[start + opening.length] === dash && body[start + opening.length + 1] === dash
      if (isDelimiter && last && this.isLineEnd(this.afterBlanks(start + opening.length + 2))) return undefined
      if (lineEnd < 0) return eof
      this.at = lineEnd + 1
      if (isDelimiter) {
        if (this.parts === 0 && rest === lineEnd) this.delimiter = this.delimiter.subarray(1)
        if (rest < body.length && this.isLineEnd(rest)) {
          this.parts++
          return "part"
        }
      }
      // Before the first part stands text for readers that know nothing of forms.
      if (this.parts === 0) continue
      if (broken || !this.isLineEnd(start)) return "multipart: expecting a new Part"
      broken = true
    }
  }

  private afterBlanks(at: number): number {
    while (isBlank(this.body[at])) at++
    return at
  }

  /** Whether a line, or the body, ends at `at`. */
  private isLineEnd(at: number): boolean {
    return at === this.body.length || isAt(this.body, this.delimiter.subarray(0, -this.opening.length), at)
  }

  /** Reads the head of a part: the name is empty for a part that holds no value. */
  private head(): Pick<Field, "name" | "encoded"> | string {
    let name: string | undefined
    let encoding: string | undefined
    for (;;) {
      const lineEnd = this.body.indexOf(newline, this.at)
      if (lineEnd < 0) return eof
      const line = text(this.body, this.at, this.body[lineEnd - 1] === 0x0d ? lineEnd - 1 : lineEnd)
      if (line === undefined) return "malformed MIME header line"
      this.at = lineEnd + 1
      if (line === "") return { name: name ?? "", encoded: encoding === "quoted-printable" }
      // A line that goes on in the next one starts with a blank, and is not read either.
      const header = /^([\w!#$%&'*+\-.^`|~]+):(.*)$/s.exec(line)
      if (header === null || /(?!\t)\p{Cc}/u.test(header[2]!)) return "malformed MIME header line"
      const key = header[1]!.toLowerCase()
      const value = header[2]!
      if (key === "content-transfer-encoding") {
        if (encoding !== undefined) return `duplicate header "Content-Transfer-Encoding"`
        encoding = value.trim().toLowerCase()
      } else if (key === "content-disposition") {
        if (name !== undefined) return `duplicate header "Content-Disposition"`
        name = nameOf(value)
        if (name === undefined) return "a part of a form may have a plain name and filename only"
      }
    }
  }

  /** Where the data of a part ends; -1 where no delimiter follows. */
  private partEnd(start: number): number {
    if (isAt(this.body, this.opening, start) && this.isMatch(start + this.opening.length)) return start
    for (let at = start;; at++) {
      at = indexOf(this.body, this.delimiter, at)
      if (at < 0 || this.isMatch(at + this.delimiter.length)) return at
    }
  }

  /** Whether a delimiter ends here. `--boundaryX` is data. */
  private isMatch(at: number): boolean {
    const byte = this.body[at]
    return byte === undefined || isBlank(byte) || byte === 0x0d || byte === newline ||
      (byte === dash && this.body[at + 1] === dash)
  }
}

/** The name of a field; empty for a file, which is no value; `undefined` where it is not plain. */
const nameOf = (disposition: string): string | undefined => {
  const found = MediaType.parse(disposition)
  if (found === undefined || found.type !== "form-data") return undefined
  for (const key of found.parameters.keys()) if (key !== "name" && key !== "filename") return undefined
  return found.parameters.get("filename") ? "" : found.parameters.get("name") ?? ""
}

const take = (into: Draft, body: Uint8Array, { encoded, end, name, start }: Field): string => {
  if (name !== "model" && name !== "stream" && name !== "prompt") return ""
  if (encoded) return `the field "${name}" may not be quoted-printable`
  if (name === "model") {
    if (into.modelSpan !== undefined) return `duplicate field "model"`
    const model = text(body, start, end)
    if (model === undefined) return `the field "model" must be UTF-8`
    into.model = model
    into.modelSpan = { start, end }
  } else if (name === "stream") {
    if (into.stream !== undefined) return `duplicate field "stream"`
    into.stream = text(body, start, end) === "true"
  } else into.promptBytes += end - start
  return ""
}

const noForm: Refusal = refuse("BadRequest", "request Content-Type isn't multipart/form-data")

/**
 * Reads `model`, `stream` and `prompt` of a form. Refusals use the words of Go's `mime/multipart` where it has any.
 *
 * @internal
 */
export const scanMultipart = (into: Draft, body: Uint8Array, contentType: string): Envelope | Refusal => {
  into.emptyPrompt = false
  const type = MediaType.parse(contentType)
  const boundary = type?.type === "multipart/form-data" ? type.parameters.get("boundary") : undefined
  if (boundary === undefined || !/^[\x20-\x7e]+$/.test(boundary)) return noForm
  if (body.length === 0) return refuse("BadRequest", "missing request body")
  // The limit of RFC 2046, 5.1.1. A client could make the search as slow as it likes with a longer one.
  if (boundary.length > 70) return refuse("BadRequest", "multipart: boundary too long")
  const form = new Form(body, boundary)
  for (;;) {
    const field = form.next()
    if (field === undefined) return into
    const wrong = typeof field === "string" ? field : take(into, body, field)
    if (wrong !== "") return refuse("BadRequest", wrong)
  }
}
