/**
 * Reads the top level of JSON objects that come in pieces, in any spelling that JSON allows.
 *
 * `JSON.parse` needs the whole text. The last record of a stream can have megabytes (the tokens of a conversation, an
 * image), and only three of its fields say how the stream ended.
 *
 * @since 0.1.0
 */
import { Option } from "effect"
import { closeBrace, closeBracket, openBrace, openBracket, parse, quote } from "./json.ts"

/** What the top level of an object says about the end of a stream. @category models @since 0.1.0 */
export interface Top {
  /** Whether `done` is `true`. */
  done: boolean
  /** Whether there is an `error` that says something: not `null`, not `""`, not `false`. */
  error: boolean
  /** The text of `type`. */
  type: string | undefined
}

const Mode = {
  /** Outside of any value. */
  between: 0,
  /** After the opening brace: a key, or the end. */
  first: 1,
  /** After a comma. */
  key: 2,
  colon: 3,
  value: 4,
  /** After a value: a comma, or the end. */
  next: 5,
  /** Inside a value that is an object or a list. */
  nested: 6,
  /** Inside a number, `true`, `false` or `null`. */
  literal: 7,
  /** Inside a string. */
  string: 8,
  /** After a byte that no JSON has there. */
  broken: 9,
} as const
type Mode = typeof Mode[keyof typeof Mode]

const backslash = 0x5c
const colon = 0x3a
const comma = 0x2c
const newline = 0x0a
const carriageReturn = 0x0d

/** Bytes of a key or a value that are kept. The longest that matters is below 200, with an escape for each letter. */
const keptMax = 256

const isSpace = (byte: number): boolean => byte === 0x20 || byte === newline || byte === carriageReturn || byte === 9

const isLiteral = (byte: number): boolean =>
  (byte >= 0x61 && byte <= 0x7a) || (byte >= 0x30 && byte <= 0x39) || byte === 0x2d || byte === 0x2b ||
  byte === 0x2e || byte === 0x45

const unescaped = (raw: string): string =>
  raw.includes("\\") ? String(Option.getOrElse(parse(`"${raw}"`), () => "")) : raw

/**
 * Takes the bytes of JSON values, one after the other.
 *
 * **Details**
 *
 * The grammar is checked at the top level; inside, strings and brackets are counted. A line feed or a carriage return
 * ends a text that cannot be JSON any more, so the record after a broken one is read again.
 *
 * @category models
 * @since 0.1.0
 */
export class TopLevel {
  /** The last object, if it is complete and nothing but white space came after it. */
  last: Top | undefined = undefined
  private top: Top = { done: false, error: false, type: undefined }
  private mode: Mode = Mode.between
  private depth = 0
  private escaped = false
  /** Where the string that is being read stands. */
  private stringAt: Mode = Mode.between
  private kept = ""
  /** The name of the field that is read, if it matters. */
  private field: "" | keyof Top = ""

  /** Forgets what came, and begins anew. */
  reset(): void {
    this.last = undefined
    this.mode = Mode.between
  }

  /** Takes the line break that joins two lines of one text. */
  join(): void {
    if (this.mode === Mode.string) this.mode = Mode.broken
    else if (this.mode === Mode.literal) this.literalEnds()
  }

  feed(bytes: Uint8Array, start = 0, end = bytes.length): void {
    let at = start
    while (at < end) {
      if (this.mode === Mode.string) at = this.inString(bytes, at, end)
      else if (this.mode === Mode.nested) at = this.inNested(bytes, at, end)
      else this.take(bytes[at++]!)
    }
  }

  private take(byte: number): void {
    if (this.mode === Mode.broken) {
      if (byte === newline || byte === carriageReturn) this.mode = Mode.between
      return
    }
    if (this.mode === Mode.literal) {
      if (isLiteral(byte)) return this.keep(byte)
      this.literalEnds()
    }
    if (!isSpace(byte)) this.token(byte)
  }

  /** Takes a byte of the top level that is no white space. */
  private token(byte: number): void {
    switch (this.mode) {
      case Mode.between:
        this.last = undefined
        this.top = { done: false, error: false, type: undefined }
        return this.expect(byte === openBrace, Mode.first)
      case Mode.first:
        return byte === closeBrace ? this.close() : this.open(byte)
      case Mode.key:
        return this.open(byte)
      case Mode.colon:
        return this.expect(byte === colon, Mode.value)
      case Mode.value:
        return this.begin(byte)
      case Mode.next:
        return byte === closeBrace ? this.close() : this.expect(byte === comma, Mode.key)
    }
  }

  private expect(found: boolean, then: Mode): void {
    this.mode = found ? then : Mode.broken
  }

  /** Begins a string, if it is one. */
  private open(byte: number): void {
    this.stringAt = this.mode
    this.escaped = false
    this.kept = ""
    this.expect(byte === quote, Mode.string)
  }

  private begin(byte: number): void {
    if (byte === openBrace || byte === openBracket) {
      this.depth = 1
      this.mode = Mode.nested
      return this.set(undefined, true)
    }
    if (!isLiteral(byte)) return this.open(byte)
    this.mode = Mode.literal
    this.kept = ""
    this.keep(byte)
  }

  private close(): void {
    this.mode = Mode.between
    this.last = this.top
  }

  /** Passes over a value that is an object or a list. Returns where it stopped. */
  private inNested(bytes: Uint8Array, from: number, end: number): number {
    for (let at = from; at < end; at++) {
      const byte = bytes[at]!
      if (byte === quote) {
        this.open(byte)
        return at + 1
      }
      if (byte === openBrace || byte === openBracket) this.depth++
      else if ((byte === closeBrace || byte === closeBracket) && --this.depth === 0) {
        this.mode = Mode.next
        return at + 1
      }
    }
    return end
  }

  private inString(bytes: Uint8Array, from: number, end: number): number {
    let at = from
    for (; at < end; at++) {
      const byte = bytes[at]!
      if (this.escaped) this.escaped = false
      else if (byte === backslash) this.escaped = true
      else if (byte === quote || byte === newline || byte === carriageReturn) break
    }
    if (this.stringAt !== Mode.nested && (this.stringAt !== Mode.value || this.field !== "")) {
      for (let i = from; i < at && this.kept.length < keptMax; i++) this.kept += String.fromCharCode(bytes[i]!)
    }
    if (at === end) return end
    if (bytes[at] === quote) this.stringEnds()
    // JSON has no line break in a string: the record is broken, and another may follow.
    else this.mode = Mode.between
    return at + 1
  }

  private stringEnds(): void {
    if (this.stringAt === Mode.nested) this.mode = Mode.nested
    else if (this.stringAt === Mode.value) {
      this.mode = Mode.next
      this.set(unescaped(this.kept), this.kept !== "")
    } else {
      this.mode = Mode.colon
      const key = unescaped(this.kept)
      this.field = key === "done" || key === "error" || key === "type" ? key : ""
    }
  }

  private literalEnds(): void {
    const text = this.kept
    this.mode = Mode.next
    if (this.field === "") return
    this.set(undefined, text === "true" || (text !== "false" && text !== "null" && Number(text) !== 0), text === "true")
  }

  /** Of two fields with the same name, the last one counts. */
  private set(text: string | undefined, truthy: boolean, isTrue = false): void {
    if (this.field === "done") this.top.done = isTrue
    else if (this.field === "error") this.top.error = truthy
    else if (this.field === "type") this.top.type = text
  }

  private keep(byte: number): void {
    if (this.field !== "" && this.kept.length < keptMax) this.kept += String.fromCharCode(byte)
  }
}
