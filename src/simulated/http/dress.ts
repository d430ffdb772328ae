/**
 * Answers as other servers and proxies send them: spelled in another way, or compressed in spite of `identity`.
 *
 * @since 0.1.0
 */
import { constants, crc32, deflateRawSync } from "node:zlib"

/**
 * How a server spells its answers, where that differs from Ollama. What they mean stays the same.
 *
 * @category options
 * @since 0.1.0
 */
export interface Spelling {
  /** Blanks after the colons and commas of JSON, as Python's `json` writes them. Defaults to `false`. */
  readonly blanks?: boolean | undefined
  /** The ends of the lines of a stream. Defaults to `"\n"`. */
  readonly lineEnd?: "\n" | "\r\n" | "\r" | undefined
  /** No blank after the colon of a server-sent event's field. Defaults to `false`. */
  readonly bareFields?: boolean | undefined
  /** A comment and an id before each server-sent event, and a comment after the last one. Defaults to `false`. */
  readonly comments?: boolean | undefined
}

const encoder = new TextEncoder()
const decoder = new TextDecoder()

// A line break in JSON text is never inside of a string.
const spaced = (json: string): string => JSON.stringify(JSON.parse(json), null, 1).replace(/\n */g, " ")

const isJson = (text: string): boolean => text.startsWith("{")

const field = (line: string, { bareFields, blanks }: Spelling): string => {
  const at = line.indexOf(": ")
  const value = line.slice(at + 2)
  return line.slice(0, at) + (bareFields === true ? ":" : ": ") +
    (blanks === true && isJson(value) ? spaced(value) : value)
}

const event = (text: string, number: number, spelling: Spelling): string => {
  const lines = text.split("\n").map((line) => line === "" ? line : field(line, spelling))
  return (spelling.comments === true ? `: event ${number}\nid: ${number}\n` : "") + lines.join("\n")
}

/** Compresses one answer. What was written so far can be decoded at any time, as where a proxy flushes. */
class Gzip {
  private crc = 0
  private size = 0

  chunk(bytes: Uint8Array): Uint8Array {
    const head = this.size === 0 ? [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255] : []
    this.crc = crc32(bytes, this.crc)
    this.size += bytes.length
    return Uint8Array.from([...head, ...deflateRawSync(bytes, { finishFlush: constants.Z_SYNC_FLUSH })])
  }

  end(): Uint8Array {
    const sums = new DataView(new ArrayBuffer(8))
    sums.setUint32(0, this.crc, true)
    sums.setUint32(4, this.size, true)
    return Uint8Array.from([...deflateRawSync(new Uint8Array()), ...new Uint8Array(sums.buffer)])
  }
}

/**
 * Changes the bytes of one answer.
 *
 * @category models
 * @since 0.1.0
 */
export class Dress {
  private readonly spelling: Spelling
  private readonly gzip: Gzip | undefined
  private events = 0
  private isEvents = false

  constructor(spelling: Spelling, encoding: "gzip" | undefined) {
    this.spelling = spelling
    this.gzip = encoding === undefined ? undefined : new Gzip()
  }

  /** Headers to add. */
  get headers(): ReadonlyArray<string> {
    return this.gzip === undefined ? [] : ["Content-Encoding", "gzip"]
  }

  /** An answer in one piece. */
  whole(bytes: Uint8Array): Uint8Array {
    const text = decoder.decode(bytes)
    const spelled = this.spelling.blanks === true && isJson(text) ? encoder.encode(spaced(text)) : bytes
    if (this.gzip === undefined || spelled.length === 0) return spelled
    return Uint8Array.from([...this.gzip.chunk(spelled), ...this.gzip.end()])
  }

  /** One or more whole records of a stream. */
  piece(bytes: Uint8Array): Uint8Array {
    const text = decoder.decode(bytes)
    this.isEvents ||= !isJson(text)
    const spelled = this.isEvents
      ? text.split("\n\n").map((one) => one === "" ? one : event(one, ++this.events, this.spelling)).join("\n\n")
      : this.spelling.blanks === true
      ? `${spaced(text)}\n`
      : text
    return this.sent(spelled)
  }

  /** What comes after the last record. */
  last(): Uint8Array | undefined {
    const bye = this.spelling.comments === true && this.isEvents ? this.sent(": bye\n\n") : new Uint8Array()
    const end = this.gzip?.end() ?? new Uint8Array()
    return bye.length + end.length === 0 ? undefined : Uint8Array.from([...bye, ...end])
  }

  private sent(text: string): Uint8Array {
    const bytes = encoder.encode(text.replaceAll("\n", this.spelling.lineEnd ?? "\n"))
    return this.gzip === undefined ? bytes : this.gzip.chunk(bytes)
  }
}
