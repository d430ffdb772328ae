/**
 * How the streams of each dialect are cut into records.
 *
 * @since 0.1.0
 */
import type { Endpoint } from "../services/RoutedRequest.ts"

/** How the records of a stream are framed. @category models @since 0.1.0 */
export type Framing = "ndjson" | "sse"

/** The framing of an endpoint's streams. @category rendering @since 0.1.0 */
export const framing = (endpoint: Endpoint): Framing => endpoint.dialect === "native" ? "ndjson" : "sse"

/** The `Content-Type` of an endpoint's streams. @category rendering @since 0.1.0 */
export const streamType = (endpoint: Endpoint): string =>
  endpoint.dialect === "native" ? "application/x-ndjson" : "text/event-stream"

/** Whether a `Content-Type` is that of a stream of records. @category predicates @since 0.1.0 */
export const isStreamType = (contentType: string | undefined): boolean =>
  contentType !== undefined && /^\s*(?:application\/(?:x-)?ndjson|text\/event-stream)\b/i.test(contentType)

const newline = 0x0a
const carriageReturn = 0x0d
const isLineEnd = (byte: number): boolean => byte === newline || byte === carriageReturn

/**
 * Tells, by the last three bytes of a stream, whether it stands between two records.
 *
 * **Details**
 *
 * A record of newline-delimited JSON ends in a line feed. A server-sent event ends in an empty line; its lines end in
 * CR, LF or CRLF. A stream of which nothing has come stands between records.
 *
 * @category models
 * @since 0.1.0
 */
export class RecordEdge {
  private last = newline
  private second = newline
  private third = newline

  /** Takes the next chunk. */
  pass(chunk: Uint8Array): void {
    const length = chunk.length
    if (length > 2) {
      this.third = chunk[length - 3]!
      this.second = chunk[length - 2]!
      this.last = chunk[length - 1]!
      return
    }
    for (let i = 0; i < length; i++) {
      this.third = this.second
      this.second = this.last
      this.last = chunk[i]!
    }
  }

  isBetween(framing: Framing): boolean {
    if (framing === "ndjson") return this.last === newline
    if (!isLineEnd(this.last) || !isLineEnd(this.second)) return false
    // CRLF is the end of one line.
    return this.second !== carriageReturn || this.last !== newline || isLineEnd(this.third)
  }
}
