/**
 * Finds the last record of a stream in its bytes, which may come in pieces.
 *
 * @since 0.1.0
 */
import type { Framing } from "../../wire/streamFraming.ts"
import { type Top, TopLevel } from "../../wire/topLevel.ts"

/**
 * The last record of a stream.
 *
 * @category models
 * @since 0.1.0
 */
export interface LastRecord {
  /** Its top level; `undefined` where it is not a complete JSON object. */
  readonly top: Top | undefined
  /** The name of the event, in server-sent events. */
  readonly event: string
  /** Whether its data is `[DONE]`. */
  readonly marker: boolean
}

/**
 * Takes the bytes of a stream from the start of a record on.
 *
 * @category models
 * @since 0.1.0
 */
export interface Records {
  readonly feed: (bytes: Uint8Array) => void
  /** The last record, when no more bytes come. */
  readonly last: () => LastRecord | undefined
  /** Events that had data. Lines are not counted. */
  readonly count: () => number
}

/** Newline-delimited JSON. White space between records does not matter. */
class Lines implements Records {
  private readonly json = new TopLevel()

  feed(bytes: Uint8Array): void {
    this.json.feed(bytes)
  }

  last(): LastRecord {
    return { top: this.json.last, event: "", marker: false }
  }

  count(): number {
    return 0
  }
}

const newline = 10
const carriageReturn = 13
const colon = 0x3a
const space = 0x20
const byteOrderMark = [0xef, 0xbb, 0xbf]

/** Characters kept of a field's name, of an event's name and of the start of its data. */
const keptMax = 64

/**
 * Server-sent events, as the HTML standard reads them (section 9.2.6): lines end in CR, LF or CRLF, one space after the
 * colon is left out, lines of data are joined, and events without data are nothing.
 *
 * **Gotchas**
 *
 * The standard drops an event whose last line break is missing. Here it counts: all of its data came.
 */
class Events implements Records {
  private readonly json = new TopLevel()
  private found: LastRecord | undefined = undefined
  private seen = 0
  /** Bytes taken, up to the length of a byte order mark. */
  private start = 0
  private afterReturn = false
  /** What is read now: the name of a field, the first byte of its value, or its value. */
  private reading: "name" | "first" | "value" = "name"
  private name = ""
  private hasData = false
  private data = ""
  private event = ""

  feed(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length; at++) {
      const byte = bytes[at]!
      if (this.start < 3 && byte === byteOrderMark[this.start++]) continue
      this.start = 3
      const joined = byte === newline && this.afterReturn
      this.afterReturn = byte === carriageReturn
      if (joined) continue
      if (byte === newline || byte === carriageReturn) this.lineEnds()
      else if (this.reading === "name") this.inName(byte)
      else if (this.reading === "first" && byte === space) this.reading = "value"
      else at = this.value(bytes, at) - 1
    }
  }

  last(): LastRecord | undefined {
    this.dispatch()
    return this.found
  }

  count(): number {
    return this.seen
  }

  private inName(byte: number): void {
    if (byte !== colon) {
      if (this.name.length < keptMax) this.name += String.fromCharCode(byte)
      return
    }
    this.reading = "first"
    this.begin()
  }

  /** Called when the name of a field is complete. */
  private begin(): void {
    if (this.name === "event") this.event = ""
    if (this.name !== "data") return
    if (this.hasData) this.json.join()
    else this.json.reset()
    this.hasData = true
  }

  /** Takes the value up to the end of the line. Returns where it ends. */
  private value(bytes: Uint8Array, from: number): number {
    this.reading = "value"
    let end = from
    while (end < bytes.length && bytes[end] !== newline && bytes[end] !== carriageReturn) end++
    if (this.name === "data") this.json.feed(bytes, from, end)
    if (this.name === "data") this.data = kept(this.data, bytes, from, end)
    else if (this.name === "event") this.event = kept(this.event, bytes, from, end)
    return end
  }

  private lineEnds(): void {
    if (this.reading === "name" && this.name === "") this.dispatch()
    else if (this.reading === "name") this.begin()
    this.reading = "name"
    this.name = ""
  }

  private dispatch(): void {
    const data = this.data.trim()
    if (data !== "") {
      this.json.join()
      this.found = { top: this.json.last, event: this.event, marker: data === "[DONE]" }
      this.seen++
    }
    this.hasData = false
    this.data = ""
    this.event = ""
  }
}

const kept = (before: string, bytes: Uint8Array, from: number, end: number): string => {
  let text = before
  for (let at = from; at < end && text.length < keptMax; at++) text += String.fromCharCode(bytes[at]!)
  return text
}

/** @category constructors @since 0.1.0 */
export const make = (framing: Framing): Records => framing === "ndjson" ? new Lines() : new Events()
