/**
 * Recognises the last record of a stream.
 *
 * @since 0.1.0
 */
import { Option } from "effect"
import type { StreamEnd } from "../../services/RoutedRequest.ts"
import { parse, textOf } from "../../wire/json.ts"
import { type Framing, RecordEdge } from "../../wire/streamFraming.ts"
import { ChunkList } from "../../support/chunkList.ts"
import * as Records from "./records.ts"

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
  /** Whether what came cannot be a stream of the dialect. Asked after `end`. */
  readonly isDocument: () => boolean
}

type Streaming = Exclude<StreamEnd, "none">

/** Values of `type` with which a stream is whole. */
const wholeTypes: Readonly<Record<Streaming, ReadonlyArray<string>>> = {
  "done-true": [],
  "done-marker": [],
  "message-stop": ["message_stop"],
  "response-completed": ["response.completed", "response.incomplete"],
}

/** Values of `type` with which a stream ends in an error. */
const errorTypes: Readonly<Record<Streaming, ReadonlyArray<string>>> = {
  "done-true": [],
  "done-marker": ["error"],
  "message-stop": ["error"],
  "response-completed": ["error", "response.failed"],
}

/** `[DONE]` ends a stream of any dialect: some servers write it after the last event of the responses API. */
const endingOf = (streamEnd: Streaming, record: Records.LastRecord | undefined): Ending => {
  if (record === undefined) return "cut"
  if (record.marker) return "whole"
  const { event, top } = record
  if (top === undefined) return "cut"
  const type = top.type ?? event
  if (top.error || errorTypes[streamEnd].includes(type)) return "error"
  const whole = streamEnd === "done-true" ? top.done : wholeTypes[streamEnd].includes(type)
  return whole ? "whole" : "cut"
}

/** Bytes. `JSON.parse` is faster on a short record than reading it byte by byte. */
const shortMax = 4096

/** Bytes kept before they are read. A longer record is read piece by piece and not kept. */
const keptMax = 64 * 1024

/**
 * Keeps the chunks of the last record, and reads them once, at the end. Backends mostly send each record in a chunk of
 * its own, so looking at the first and last bytes of a chunk is mostly enough to find where the last record begins.
 */
class LastRecord implements Terminator {
  private readonly streamEnd: Streaming
  private readonly framing: Framing
  private readonly edge = new RecordEdge()
  private readonly chunks = new ChunkList()
  private length = 0
  /** Whether records were dropped because others came after them. */
  private dropped = false
  private records: Records.Records | undefined = undefined
  private ending: Ending | undefined = undefined

  constructor(streamEnd: Streaming) {
    this.streamEnd = streamEnd
    this.framing = streamEnd === "done-true" ? "ndjson" : "sse"
  }

  push(chunk: Uint8Array): void {
    if (this.edge.isBetween(this.framing) && begins(this.framing, chunk)) {
      this.dropped ||= this.length > 0 || this.records !== undefined
      this.forget()
      this.records = undefined
    }
    this.edge.pass(chunk)
    this.chunks.add(chunk)
    this.length += chunk.length
    if (this.length > keptMax) this.read()
  }

  end(): Ending {
    return this.ending ??= this.short() ?? endingOf(this.streamEnd, this.read().last())
  }

  isDocument(): boolean {
    // A JSON text is a stream of one record, where records are lines.
    return this.framing === "sse" && !this.dropped && this.read().count() === 0
  }

  /** The fast way for the usual end of Ollama's own streams: one short record. */
  private short(): Ending | undefined {
    if (this.framing !== "ndjson" || this.records !== undefined || this.length > shortMax) return undefined
    const record = Option.getOrUndefined(parse(textOf(this.chunks.all())))
    return typeof record === "object" && record !== null && "done" in record && record.done === true &&
        !("error" in record)
      ? "whole"
      : undefined
  }

  /** Reads the chunks that are kept, so that they can be freed. */
  private read(): Records.Records {
    const records = this.records ??= Records.make(this.framing)
    for (const chunk of this.chunks.all()) records.feed(chunk)
    this.forget()
    return records
  }

  private forget(): void {
    this.chunks.clear()
    this.length = 0
  }
}

const openBrace = 0x7b
const newline = 10
const data = [0x64, 0x61, 0x74, 0x61, 0x3a] // data:

/** Whether a chunk that follows a whole record begins with another one. A comment, or an empty line, is none. */
const begins = (framing: Framing, chunk: Uint8Array): boolean => {
  if (framing === "ndjson") return chunk[0] === openBrace
  // The name of an event comes before its data.
  const at = chunk[0] === 0x65 ? chunk.indexOf(newline) + 1 : 0
  for (let i = 0; i < data.length; i++) if (chunk[at + i] !== data[i]) return false
  const value = chunk[at + data.length]
  return (value === 0x20 ? chunk[at + data.length + 1] : value) as number > 0x20
}

const unwatched: Terminator = { push: () => {}, end: () => "whole", isDocument: () => true }

/**
 * A terminator for one stream.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (end: StreamEnd): Terminator => end === "none" ? unwatched : new LastRecord(end)
