/**
 * Recognises the last record of a stream without parsing it.
 *
 * @since 0.1.0
 */
import type { StreamEnd } from "../../services/RoutedRequest.ts"
import { concat } from "../../wire/json.ts"

/** `whole`: the last record came. `cut`: it did not. `error`: the backend ended with an error record of its own. @category models @since 0.1.0 */
export type Ending = "whole" | "cut" | "error"

/**
 * Sees every chunk, and says at the end how the stream ended.
 *
 * @category models
 * @since 0.1.0
 */
export interface Terminator {
  readonly push: (chunk: Uint8Array) => void
  readonly end: () => Ending
}

interface Marks {
  /** The last line matches. A quote inside a JSON string is escaped, so the raw bytes of a key can only be a key; text without quotes can be content. */
  readonly whole: (line: string) => boolean
  /** The last line begins with one of these. */
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

/** What is kept of the last line's head and of its tail: Ollama puts what is looked for near one end, whatever the length between. */
const keptMax = 64 * 1024

/**
 * Holds on to the chunks that the last line so far lies in, and looks into them once, at the end. Backends send a line, or a record, in a chunk of its own:
 * then all there is to do for a chunk is to look at its last byte.
 */
class LastLine implements Terminator {
  private readonly marks: Marks
  private chunks: Array<Uint8Array> = []
  private length = 0
  /** Whether the next byte that is no newline begins another line. */
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

  /** Copies, so that a long line's chunks can go. */
  private compact(): void {
    const line = lastLine(concat(this.chunks))
    this.chunks = line.length > 2 * keptMax
      ? [line.slice(0, keptMax), line.slice(line.length - keptMax)]
      : [line.slice()]
    this.length = Math.min(line.length, 2 * keptMax)
  }
}

const blank = (chunk: Uint8Array): boolean => chunk.every((byte) => byte === newline)

/** Without the newlines that end it. */
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
