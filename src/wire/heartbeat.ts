/**
 * Writes heartbeats in the client's dialect.
 *
 * @since 0.1.0
 */
import type { Endpoint, QueuePlace } from "../services/RoutedRequest.ts"

const encoder = new TextEncoder()
const bytes = (text: string): Uint8Array => encoder.encode(text)

const comment = bytes(": keep-alive\n\n")

/**
 * The bytes that show a waiting client, between two records, that its connection is alive. `undefined` where the
 * endpoint does not stream.
 *
 * **Details**
 *
 * In server-sent events a heartbeat is a comment. With a `place`, the comment says the position in the queue. The
 * native dialect has no comments, and blank lines break the Python and Go clients of Ollama. There a heartbeat is a
 * record with empty content.
 *
 * The encoder of `effect/encoding/Sse` is not used: it cannot write comments.
 *
 * @category rendering
 * @since 0.1.0
 */
export const heartbeat = (
  endpoint: Endpoint,
  model: string,
  now: number,
  place?: QueuePlace,
): Uint8Array | undefined => {
  if (endpoint.streamEnd === "none") return undefined
  if (endpoint.dialect !== "native") {
    return place === undefined
      ? comment
      : bytes(`: queued, position ${place.position}, about ${Math.ceil(place.waitMillis / 1000)} s\n\n`)
  }
  const head = { model, created_at: new Date(now).toISOString() }
  const record = endpoint.kind === "chat"
    ? { ...head, message: { role: "assistant", content: "" }, done: false }
    : { ...head, response: "", done: false }
  return bytes(`${JSON.stringify(record)}\n`)
}
