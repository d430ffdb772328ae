/**
 * Finds where JSON values end in bytes, without parsing them, and reads short strings.
 *
 * `JSON.parse` and streaming JSON parsers build values and do not tell where they stood; a rewrite needs the spans, and
 * a prompt of megabytes must not be parsed for one key. Nothing here recurses, so nesting cannot overflow the stack.
 * No byte is read twice, so time is linear.
 *
 * @since 0.1.0
 */
import { Bytes, Option } from "effect"

/** @internal */
export const quote = 0x22
/** @internal */
export const openBrace = 0x7b
/** @internal */
export const closeBrace = 0x7d
/** @internal */
export const openBracket = 0x5b
/** @internal */
export const closeBracket = 0x5d
const backslash = 0x5c

/** What `valueEnd` returns when the text ends too early. For a wrong byte it returns `-2 - index`. @internal */
export const truncated = -1

/** The index of the first byte at or after `at` that is not white space. @internal */
export const skipSpace = (bytes: Uint8Array, at: number): number => {
  for (; at < bytes.length; at++) {
    const byte = bytes[at]
    if (byte !== 0x20 && byte !== 0x0a && byte !== 0x0d && byte !== 0x09) break
  }
  return at
}

/** Bytes of a string that are read one by one. Then the runtime's own search, faster on long strings, takes over. */
const near = 128

/** The index after the closing quote of a string; `at` is the first byte after its opening quote. @internal */
export const stringEnd = (bytes: Uint8Array, at: number): number => {
  for (;;) {
    const until = Math.min(at + near, bytes.length)
    for (; at < until; at++) {
      const byte = bytes[at]
      if (byte === quote) return at + 1
      if (byte === backslash) at++
    }
    const found = bytes.indexOf(quote, at)
    if (found < 0) return truncated
    // An odd number of backslashes escapes the quote. Runs before different quotes never overlap, so time stays linear.
    let before = found - 1
    while (before >= at && bytes[before] === backslash) before--
    if (((found - before) & 1) === 1) return found + 1
    at = found + 1
  }
}

/** A count of images. @internal */
export interface Images {
  images: number
  /** Bytes of the strings that hold them, quotes included. */
  imageBytes: number
}

/** Bytes. Prose has a space before that, and no real image is smaller. */
const imageMin = 512

const isBase64Byte = (byte: number): boolean =>
  (byte >= 0x61 && byte <= 0x7a) || (byte >= 0x41 && byte <= 0x5a) || (byte >= 0x2f && byte <= 0x39) || byte === 0x2b ||
  byte === 0x3d

/**
 * Whether a string (the span includes its quotes) is base64, or a data URL with base64. Judged by its first 256 bytes,
 * in which prose has a space, and by 256 samples from the rest.
 */
const isImage = (bytes: Uint8Array, start: number, end: number): boolean => {
  const isUrl = bytes[start + 1] === 0x64 && bytes[start + 5] === 0x3a // data:
  const from = isUrl ? bytes.indexOf(0x2c, start) + 1 : start + 1
  const beginning = Math.min(end - 1, from + 256)
  for (let at = from; at < beginning; at++) if (!isBase64Byte(bytes[at]!)) return false
  const step = Math.max(1, Math.floor((end - 1 - from) / 256))
  for (let at = from; at < end - 1; at += step) if (!isBase64Byte(bytes[at]!)) return false
  return from > start
}

/** Brackets are counted, not matched: the backend rejects a body in which they do not match, before it acts on it. */
const containerEnd = (bytes: Uint8Array, at: number, images: Images | undefined): number => {
  for (let depth = 1; at < bytes.length; at++) {
    switch (bytes[at]) {
      case quote: {
        const end = stringEnd(bytes, at + 1)
        if (end < 0) return truncated
        if (images !== undefined && end - at > imageMin && isImage(bytes, at, end)) {
          images.images++
          images.imageBytes += end - at
        }
        at = end - 1
        break
      }
      case openBrace:
      case openBracket:
        depth++
        break
      case closeBrace:
      case closeBracket:
        if (--depth === 0) return at + 1
        break
    }
  }
  return truncated
}

const literalEnd = (bytes: Uint8Array, at: number, literal: string): number => {
  for (let i = 0; i < literal.length; i++) {
    if (at + i >= bytes.length) return truncated
    if (bytes[at + i] !== literal.charCodeAt(i)) return -2 - (at + i)
  }
  return at + literal.length
}

const isNumberByte = (byte: number) =>
  (byte >= 0x30 && byte <= 0x39) || byte === 0x2e || byte === 0x2d || byte === 0x2b || byte === 0x65 || byte === 0x45

/**
 * The index after the value that starts at `at`; a negative number when there is none (see `truncated`). Images in a
 * list or an object are counted into `images`.
 *
 * @internal
 */
export const valueEnd = (bytes: Uint8Array, at: number, images?: Images): number => {
  const byte = bytes[at]
  switch (byte) {
    case undefined:
      return truncated
    case quote:
      return stringEnd(bytes, at + 1)
    case openBrace:
    case openBracket:
      return containerEnd(bytes, at + 1, images)
    case 0x74:
      return literalEnd(bytes, at, "true")
    case 0x66:
      return literalEnd(bytes, at, "false")
    case 0x6e:
      return literalEnd(bytes, at, "null")
  }
  if (byte !== 0x2d && (byte < 0x30 || byte > 0x39)) return -2 - at
  while (at < bytes.length && isNumberByte(bytes[at]!)) at++
  return at
}

/** Go's name for the kind of value that starts at `at`. @internal */
export const kindAt = (bytes: Uint8Array, at: number): string => {
  switch (bytes[at]) {
    case quote:
      return "string"
    case openBrace:
      return "object"
    case openBracket:
      return "array"
    case 0x74:
    case 0x66:
      return "bool"
    case 0x6e:
      return "null"
    default:
      return "number"
  }
}

const decoder = new TextDecoder()

/** The text between two offsets. @internal */
export const text = (bytes: Uint8Array, start: number, end: number): string =>
  decoder.decode(bytes.subarray(start, end))

/** All parts in one array, without a copy when there is only one. @internal */
export const concat = (parts: ReadonlyArray<Uint8Array>): Uint8Array =>
  parts.length === 1 ? parts[0]! : Bytes.concat(parts)

/** The text of all parts. @internal */
export const textOf = (parts: ReadonlyArray<Uint8Array>): string => decoder.decode(concat(parts))

/** The value of a JSON text; none when it is not JSON. Not for bodies of requests: those are scanned. @internal */
export const parse = Option.liftThrowable((json: string): unknown => JSON.parse(json))

/**
 * Short strings that were read before. The few model names in use are then made once, and keep the hash that maps
 * need. Its size is fixed, so clients cannot make it grow.
 */
const seen: Array<string> = new Array(256).fill("")
const seenLengthMax = 128

const isSeen = (known: string, bytes: Uint8Array, start: number, end: number) => {
  if (known.length !== end - start) return false
  for (let i = start; i < end; i++) if (known.charCodeAt(i - start) !== bytes[i]) return false
  return true
}

/** The text between two offsets. A short text that was read before is returned without decoding it again. @internal */
export const shortText = (bytes: Uint8Array, start: number, end: number): string => {
  if (end - start > seenLengthMax) return text(bytes, start, end)
  let hash = end - start
  for (let i = start; i < end; i++) {
    const byte = bytes[i]!
    if (byte >= 0x80) return text(bytes, start, end)
    hash = (Math.imul(hash, 31) + byte) | 0
  }
  const slot = (hash ^ (hash >>> 8)) & 255
  const known = seen[slot]!
  return isSeen(known, bytes, start, end) ? known : (seen[slot] = text(bytes, start, end))
}

/** The value of the JSON string in the span (quotes included); `undefined` when it is not a valid one. @internal */
export const readString = (bytes: Uint8Array, start: number, end: number): string | undefined => {
  for (let i = start + 1; i < end - 1; i++) {
    const byte = bytes[i]!
    if (byte === backslash || byte >= 0x80 || byte < 0x20) {
      const value = Option.getOrUndefined(parse(text(bytes, start, end)))
      // Go replaces half a surrogate pair in the same way.
      return typeof value === "string" ? value.toWellFormed() : undefined
    }
  }
  return shortText(bytes, start + 1, end - 1)
}
