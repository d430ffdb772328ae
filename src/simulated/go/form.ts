/**
 * Forms as Go's `mime/multipart` reads them, in all the spellings that it takes: RFC 2231 names, folded and repeated
 * headers, lines without a carriage return, quoted-printable values. `Response.formData` reads some of them otherwise.
 *
 * @since 0.1.0
 */
import { Result } from "effect"

/** Bytes as characters: Go's strings are bytes. */
const latin1 = new TextDecoder("latin1")
const utf8 = new TextDecoder("utf-8", { ignoreBOM: true })
const isToken = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/
const tokenAt = /[!#$%&'*+\-.^_`|~0-9A-Za-z]*/y

/** A value of a header: its type, and its parameters. No type where Go finds an error. */
interface MediaType {
  readonly type: string
  readonly parameters: ReadonlyMap<string, string>
}

const invalid: MediaType = { type: "", parameters: new Map() }

const token = (value: string, at: number): string => {
  tokenAt.lastIndex = at
  return tokenAt.exec(value)?.[0] ?? ""
}

const spaces = (value: string, at: number): number => {
  while (/[\t\n\v\f\r \u0085\u00a0]/.test(value[at] ?? "")) at++
  return at
}

/** The text in quotes at `at`, and where it ends. */
const quoted = (value: string, at: number): readonly [string, number] | undefined => {
  let made = ""
  for (at++; at < value.length; at++) {
    const char = value[at]!
    if (char === '"') return [made, at + 1]
    if (char === "\\" && /[()<>@,;:\\"/[\]?=]/.test(value[at + 1] ?? "")) made += value[++at]!
    else if (char === "\r" || char === "\n") return undefined
    else made += char
  }
  return undefined
}

const unescape = (value: string): string | undefined =>
  /%(?![0-9a-f]{2})/i.test(value)
    ? undefined
    : value.replace(/%(..)/g, (_, hex: string) => String.fromCharCode(parseInt(hex, 16)))

const decode2231 = (value: string): string | undefined => {
  const found = /^(us-ascii|utf-8)'[^']*'(.*)$/is.exec(value)
  return found === null ? undefined : unescape(found[2]!)
}

/** Puts the pieces of RFC 2231 (`a*0`, `a*1*`, or `a*`) together. They come after the plain parameters, and win. */
const stitch = (parameters: Map<string, string>, base: string, pieces: ReadonlyMap<string, string>): void => {
  const whole = pieces.get(`${base}*`)
  if (whole !== undefined) {
    const value = decode2231(whole)
    if (value !== undefined) parameters.set(base, value)
    return
  }
  let made: string | undefined
  for (let n = 0;; n++) {
    const plain = pieces.get(`${base}*${n}`)
    const encoded = pieces.get(`${base}*${n}*`)
    if (plain === undefined && encoded === undefined) break
    made = (made ?? "") + (plain ?? (n === 0 ? decode2231(encoded!) : unescape(encoded!)) ?? "")
  }
  if (made !== undefined) parameters.set(base, made)
}

/** `mime.ParseMediaType`, on bytes as characters. @category decoding @since 0.1.0 */
export const mediaType = (value: string): MediaType => {
  const semicolon = value.indexOf(";")
  const base = semicolon < 0 ? value : value.slice(0, semicolon)
  const type = base.trim().toLowerCase()
  if (!type.split("/").every((part) => isToken.test(part)) || type.split("/").length > 2) return invalid
  const parameters = new Map<string, string>()
  const pieces = new Map<string, Map<string, string>>()
  for (let at = base.length;;) {
    at = spaces(value, at)
    if (at >= value.length) break
    if (value[at] !== ";") return { ...invalid, type }
    if (spaces(value, at + 1) >= value.length) break
    at = spaces(value, at + 1)
    const name = token(value, at).toLowerCase()
    at = spaces(value, at + name.length)
    if (name === "" || value[at] !== "=") return { ...invalid, type }
    at = spaces(value, at + 1)
    const plain = value[at] === '"' ? "" : token(value, at)
    const found = value[at] === '"' ? quoted(value, at) : plain === "" ? undefined : [plain, at + plain.length] as const
    if (found === undefined) return { ...invalid, type }
    at = found[1]
    const star = name.indexOf("*")
    let into = parameters
    if (star >= 0) pieces.set(name.slice(0, star), into = pieces.get(name.slice(0, star)) ?? new Map())
    if (into.has(name) && into.get(name) !== found[0]) return invalid
    into.set(name, found[0])
  }
  for (const [name, some] of pieces) stitch(parameters, name, some)
  return { type, parameters }
}

/** The values of a form, the first one of each name, and the names of its files. @category models @since 0.1.0 */
export interface GoForm {
  readonly values: ReadonlyMap<string, string>
  readonly files: ReadonlySet<string>
}

type Parsed<A> = Result.Result<A, string>
const eof = "multipart: NextPart: EOF"

/** The head of a part, with folded lines joined. */
const headers = (lines: ReadonlyArray<string>): Parsed<ReadonlyMap<string, string>> => {
  const found = new Map<string, string>()
  const joined: Array<string> = []
  for (const line of lines) {
    if (!/^[ \t]/.test(line)) joined.push(line)
    else if (joined.length === 0) return Result.fail(`malformed MIME header initial line: ${JSON.stringify(line)}`)
    else joined.push(`${joined.pop()!.replace(/[ \t]+$/, "")} ${line.replace(/^[ \t]+|[ \t]+$/g, "")}`)
  }
  for (const line of joined) {
    const colon = line.indexOf(":")
    // A name with a blank before the colon is kept as it is, and so names no header that is read.
    const name = line.slice(0, colon)
    const value = line.slice(colon + 1).replace(/^[ \t]+|[ \t]+$/g, "")
    if (colon < 0) return Result.fail(`malformed MIME header: missing colon: ${JSON.stringify(line)}`)
    if (!isToken.test(name.replaceAll(" ", "x")) || /[^\t\x20-\x7e\x80-\xff]/.test(value)) {
      return Result.fail(`malformed MIME header line: ${JSON.stringify(line)}`)
    }
    if (!found.has(name.toLowerCase())) found.set(name.toLowerCase(), value)
  }
  return Result.succeed(found)
}

/** Go takes a few bad escapes as they are, and lines that end without `=`. */
const quotedPrintable = (data: string): string =>
  data.split("\n").map((line, at, all) => {
    const last = at === all.length - 1
    const end = last ? "" : line.endsWith("\r") ? "\r\n" : "\n"
    const bare = line.replace(/\r$/, "").replace(/[ \t]+$/, "")
    const soft = bare.endsWith("=")
    const kept = soft ? bare.slice(0, -1) : bare
    return kept.replace(/=([0-9A-Fa-f]{2})/g, (_, hex: string) => String.fromCharCode(parseInt(hex, 16))) +
      (soft ? "" : end)
  }).join("")

/** Reads a form as `ParseMultipartForm` does. @category decoding @since 0.1.0 */
export const form = (body: Uint8Array, contentType: string): Parsed<GoForm> => {
  const { parameters, type } = mediaType(contentType)
  if (type !== "multipart/form-data") return Result.fail("request Content-Type isn't multipart/form-data")
  const boundary = parameters.get("boundary")
  if (boundary === undefined) return Result.fail("no multipart boundary param in Content-Type")
  if (boundary === "") return Result.fail("multipart: boundary is empty")
  return read(latin1Of(body), `--${boundary}`)
}

/** The decoder of the platform reads bytes 0x80 to 0x9f by Windows' table. */
const latin1Of = (body: Uint8Array): string =>
  body.every((byte) => byte < 0x80 || byte > 0x9f)
    ? latin1.decode(body)
    : Array.from(body, (byte) => String.fromCharCode(byte)).join("")

const read = (text: string, opening: string): Parsed<GoForm> => {
  const values = new Map<string, string>()
  const files = new Set<string>()
  let nl = "\r\n"
  let at = 0
  let parts = 0
  let broken = false
  const bytesOf = (data: string) => utf8.decode(Uint8Array.from(data, (char) => char.charCodeAt(0)))
  const matches = (after: number) => after >= text.length || /^(?:[ \t\r\n]|--)/.test(text.slice(after, after + 2))
  for (;;) {
    const end = text.indexOf("\n", at)
    const line = text.slice(at, end < 0 ? text.length : end + 1)
    const rest = (from: string) => line.slice(from.length).replace(/^[ \t]+/, "")
    const isLast = line.startsWith(`${opening}--`) && ["", nl].includes(rest(`${opening}--`))
    if (end < 0) return isLast ? Result.succeed({ values, files }) : Result.fail(eof)
    if (parts === 0 && line.startsWith(opening) && rest(opening) === "\n") nl = "\n"
    if (!(line.startsWith(opening) && rest(opening) === nl)) {
      if (isLast) return Result.succeed({ values, files })
      at = end + 1
      if (parts === 0) continue
      if (broken) return Result.fail(`multipart: expecting a new Part; got line ${JSON.stringify(line)}`)
      if (line !== nl) return Result.fail(`multipart: unexpected line in Next(): ${JSON.stringify(line)}`)
      broken = true
      continue
    }
    parts++
    broken = false
    at = end + 1
    const lines: Array<string> = []
    for (;;) {
      const stop = text.indexOf("\n", at)
      // For Go, a form may end in the head of a part.
      if (stop < 0) {
        if (at < text.length) lines.push(text.slice(at))
        return Result.map(headers(lines), () => ({ values, files }))
      }
      const one = text.slice(at, stop).replace(/\r$/, "")
      at = stop + 1
      if (one === "") break
      lines.push(one)
    }
    const head = headers(lines)
    if (Result.isFailure(head)) return Result.fail(head.failure)
    let stop = text.startsWith(opening, at) && matches(at + opening.length) ? at : -1
    for (let from = at; stop < 0;) {
      const found = text.indexOf(nl + opening, from)
      if (found < 0) return Result.fail("multipart: NextPart: EOF")
      if (matches(found + nl.length + opening.length)) stop = found
      from = found + 1
    }
    const { parameters, type } = mediaType(head.success.get("content-disposition") ?? "")
    const name = type === "form-data" ? bytesOf(parameters.get("name") ?? "") : ""
    const isEncoded = head.success.get("content-transfer-encoding")?.toLowerCase() === "quoted-printable"
    const data = text.slice(at, stop)
    at = stop
    if (name === "") continue
    if ((parameters.get("filename") ?? "") !== "") files.add(name)
    else if (!values.has(name)) values.set(name, bytesOf(isEncoded ? quotedPrintable(data) : data))
  }
}
