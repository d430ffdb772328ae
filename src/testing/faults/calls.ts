/** The calls that clients make. Their bodies are scanned once, since a run makes a million of them. */
import type { Endpoint, Envelope } from "../../services/RoutedRequest.ts"
import * as Endpoints from "../../wire/endpoints.ts"
import { scan } from "../../wire/envelope.ts"

export interface Call {
  readonly endpoint: Endpoint
  readonly body: Uint8Array
  readonly envelope: Envelope
}

const call = (path: string, body: object): Call => {
  const endpoint = Endpoints.find(path)!
  const raw = new TextEncoder().encode(JSON.stringify(body))
  const envelope = scan(raw, endpoint)
  if ("_tag" in envelope) throw new Error(envelope.message)
  return { endpoint, body: raw, envelope }
}

const messages = [{ role: "user", content: "hi" }]

export const chats = ["north", "south", "east", "west"]

/** Calls to one model in every dialect, streamed and in one piece. */
const of = (model: string): ReadonlyArray<Call> => [
  call("/api/chat", { model, messages }),
  call("/api/chat", { model, messages, stream: false }),
  call("/api/generate", { model, prompt: "x" }),
  call("/api/generate", { model, prompt: "x", stream: false, options: { num_predict: 2 } }),
  call("/v1/chat/completions", { model, messages, stream: true }),
  call("/v1/chat/completions", { model, messages }),
  call("/v1/completions", { model, prompt: "x", stream: true }),
  call("/v1/responses", { model, input: "x", stream: true }),
  call("/v1/messages", { model, messages, max_tokens: 9, stream: true }),
  call("/v1/messages", { model, messages, max_tokens: 9 }),
]

export const generations: ReadonlyArray<ReadonlyArray<Call>> = chats.map(of)

export const embeds: ReadonlyArray<Call> = [
  ...["a", "b", "c", "d", "e"].map((input) => call("/api/embed", { model: "compass", input })),
  call("/api/embed", { model: "compass", input: ["a", "b"] }),
  call("/api/embeddings", { model: "compass", prompt: "a" }),
  call("/v1/embeddings", { model: "compass", input: "a" }),
]

/** Mistakes of clients, loads and unloads. */
export const odd: ReadonlyArray<Call> = [
  call("/api/chat", { model: "nowhere", messages }),
  call("/v1/chat/completions", { model: "nowhere", messages, stream: true }),
  call("/api/generate", { model: "north", prompt: "x", options: { num_predict: "many" } }),
  call("/api/embed", { model: "north", input: "x" }),
  call("/api/generate", { model: "south" }),
  call("/api/generate", { model: "east", keep_alive: 0 }),
  call("/api/generate", { model: "west", prompt: "x", keep_alive: 0 }),
  call("/api/generate", { model: "north", prompt: "x", options: { num_ctx: 2048 } }),
]
