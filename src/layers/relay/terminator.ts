/**
 * Recognises the last record of a stream without parsing it.
 *
 * @since 0.1.0
 */
import type { StreamEnd } from "../../services/RoutedRequest.ts"

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

/** Holds on to the chunks of the line that is last so far, and looks into them once, at the end. */
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
    let end = chunk.length
    while (end > 0 && chunk[end - 1] === newline) end--
    if (end > 0) {
      const start = chunk.lastIndexOf(newline, end - 1) + 1
      if (start > 0 || this.ended || chunk[0] === newline) {
        this.chunks = []
        this.length = 0
      }
      this.keep(start === 0 && end === chunk.length ? chunk : chunk.subarray(start, end))
      this.ended = end < chunk.length
    } else if (chunk.length > 0) this.ended = true
  }

  end(): Ending {
    if (this.length === 0) return "cut"
    const line = this.chunks.length === 1 ? this.chunks[0]! : concat(this.chunks)
    const text = new TextDecoder("latin1").decode(line)
    if (this.marks.whole(text)) return "whole"
    return this.marks.error.some((mark) => text.startsWith(mark)) ? "error" : "cut"
  }

  private keep(part: Uint8Array): void {
    this.chunks.push(part)
    this.length += part.length
    if (this.length <= 4 * keptMax) return
    const line = concat(this.chunks)
    // Copies, so that a long line's chunks can go.
    this.chunks = [line.slice(0, keptMax), line.slice(line.length - keptMax)]
    this.length = 2 * keptMax
  }
}

/** One array of many. @category constructors @since 0.1.0 */
export const concat = (chunks: ReadonlyArray<Uint8Array>): Uint8Array => {
  if (chunks.length === 1) return chunks[0]!
  const whole = new Uint8Array(chunks.reduce((sum, chunk) => sum + chunk.length, 0))
  let at = 0
  for (const chunk of chunks) {
    whole.set(chunk, at)
    at += chunk.length
  }
  return whole
}

const unwatched: Terminator = { push: () => {}, end: () => "whole" }

/**
 * A terminator for one stream.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (end: StreamEnd): Terminator => end === "none" ? unwatched : new LastLine(marks[end])
