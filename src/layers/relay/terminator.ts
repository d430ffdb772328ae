/**
 * Recognises the last record of a stream without parsing it.
 *
 * @since 0.1.0
 */
import type { StreamEnd } from "../../services/RoutedRequest.ts"
import { concat } from "../../wire/json.ts"

/**
 * How a stream ended. `whole`: with its last record. `cut`: without it. `error`: with an error record of the backend.
 *
 * @category models
 * @since 0.1.0
 */
export type Ending = "whole" | "cut" | "error"

/**
 * Gets every chunk of a stream, and tells at the end how the stream ended.
 *
 * @category models
 * @since 0.1.0
 */
export interface Terminator {
  readonly push: (chunk: Uint8Array) => void
  readonly end: () => Ending
}

/** How the last line of a stream is recognised. */
interface Marks {
  /**
   * Whether the line is the last record. Quotes inside a JSON string are escaped, so a match with quotes can only be a
   * key and its value. A match without quotes could be generated text.
   */
  readonly whole: (line: string) => boolean
  /** An error record begins with one of these. */
  readonly error: ReadonlyArray<string>
}

const marks: Readonly<Record<Exclude<StreamEnd, "none">, Marks>> = {
  "done-true": { whole: (line) => line.includes(`"done":true`), error: [`{"error"`] },
  "done-marker": { whole: (line) => line === "data: [DONE]", error: [`data: {"error"`] },
  "message-stop": {
    whole: (line) => line.includes(`"type":"message_stop"`),
    error: [`data: {"type":"error"`],
  },
  "response-completed": {
    whole: (line) => line.includes(`"type":"response.completed"`) || line.includes(`"type":"response.incomplete"`),
    error: [`data: {"type":"error"`, `data: {"error"`],
  },
}

const newline = 10

/** Bytes kept of the start and of the end of a long last line. The marks are near one of the two. */
const keptMax = 64 * 1024

/**
 * Keeps the chunks of the last line, and reads them once, at the end. Backends mostly send each record in a chunk of
 * its own, so reading the last byte of each chunk is enough to find where lines begin.
 */
class LastLine implements Terminator {
  private readonly marks: Marks
  private chunks: Array<Uint8Array> = []
  private length = 0
  /** Whether the next byte that is not a newline begins another line. */
  private ended = true
  constructor(marks: Marks) {
    this.marks = marks
  }

  push(chunk: Uint8Array): void {
    const ended = chunk[chunk.length - 1] === newline
    if (this.ended && !(ended && blank(chunk))) {
      this.chunks.length = 0
      this.length = 0
    }
    this.chunks.push(chunk)
    this.length += chunk.length
    this.ended = ended
    if (this.length > 4 * keptMax) this.compact()
  }

  end(): Ending {
    const line = new TextDecoder("latin1").decode(lastLine(concat(this.chunks)))
    if (line === "") return "cut"
    if (this.marks.whole(line)) return "whole"
    return this.marks.error.some((mark) => line.startsWith(mark)) ? "error" : "cut"
  }

  /** Copies the start and the end of a long line, so that its chunks can be freed. */
  private compact(): void {
    const line = lastLine(concat(this.chunks))
    this.chunks = line.length > 2 * keptMax
      ? [line.slice(0, keptMax), line.slice(line.length - keptMax)]
      : [line.slice()]
    this.length = Math.min(line.length, 2 * keptMax)
  }
}

const blank = (chunk: Uint8Array): boolean => chunk.every((byte) => byte === newline)

/** The last line, without the newlines at its end. */
const lastLine = (bytes: Uint8Array): Uint8Array => {
  let end = bytes.length
  while (end > 0 && bytes[end - 1] === newline) end--
  return bytes.subarray(end === 0 ? 0 : bytes.lastIndexOf(newline, end - 1) + 1, end)
}

const unwatched: Terminator = { push: () => {}, end: () => "whole" }

/**
 * A terminator for one stream.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (end: StreamEnd): Terminator => end === "none" ? unwatched : new LastLine(marks[end])
