/** What the upstream answers on `/v1/chat/completions`, for the peers that do not serve Ollama's own API. */
import { chunk, CHUNKS, head, JSON_BYTES, MODEL, whole } from "../wire.ts"

const about = { id: "chatcmpl-554", created: 1_764_000_494, model: MODEL, system_fingerprint: "fp_ollama" }
const usage = { prompt_tokens: 25, completion_tokens: 64, total_tokens: 89 }

const completion = (content: string) =>
  JSON.stringify({
    ...about,
    object: "chat.completion",
    choices: [{ index: 0, message: { role: "assistant", content }, finish_reason: "stop" }],
    usage,
  })

const json = completion("a".repeat(JSON_BYTES - completion("").length))

const event = (content: string, finish_reason: string | null) =>
  `data: ${
    JSON.stringify({
      ...about,
      object: "chat.completion.chunk",
      choices: [{ index: 0, delta: { role: "assistant", content }, finish_reason }],
    })
  }\n\n`

/** As many chunks as the stream of Ollama's API, with the same words. */
const events = Array.from(
  { length: CHUNKS },
  (_, index) =>
    index < CHUNKS - 1 ? event(` word${String(index).padStart(2, "0")}`, null) : event("", "stop") + "data: [DONE]\n\n",
)

/** Bodies of the answers, as a client must see them. */
export const openaiBodies = { json, stream: events.join("") }

const streamHead = head("200 OK", "text/event-stream", "Transfer-Encoding: chunked")

export const openaiAnswers = {
  json: whole(json),
  stream: events.map((text, index) =>
    Buffer.from((index === 0 ? streamHead : "") + chunk(text) + (index === CHUNKS - 1 ? "0\r\n\r\n" : ""))
  ),
  dripFirst: Buffer.from(streamHead + chunk(events[0]!)),
  dripNext: Buffer.from(chunk(events[1]!)),
}
