/** The calls of the soak, and how their answers are judged. */
import * as SimulatedFleet from "../../src/simulated/SimulatedFleet.ts"

const { Model } = SimulatedFleet

/** Every record of its answers holds the name of the model, which makes the records long. */
const orator = `orator-${"of-many-words-".repeat(16)}x`

export const models = [
  Model.model({ name: "talker", answer: 4 }),
  Model.model({ name: "other", answer: 4 }),
  Model.model({ name: "speaker", answer: 2000 }),
  Model.model({ name: orator, answer: 16_000 }),
  Model.model({ ...Model.tinyEmbed, name: "compass", embeddingLength: 8 }),
]

type Framing = "native" | "openai" | "anthropic"

export interface Call {
  readonly path: string
  readonly framing: Framing
  readonly streams: boolean
  readonly body: (n: number) => object
}

const messages = (n: number) => [{ role: "user", content: `hello ${n}` }]

export const calls: ReadonlyArray<Call> = [
  { path: "/api/chat", framing: "native", streams: true, body: (n) => ({ model: "talker", messages: messages(n) }) },
  {
    path: "/api/chat",
    framing: "native",
    streams: false,
    body: (n) => ({ model: "other", messages: messages(n), stream: false }),
  },
  { path: "/api/generate", framing: "native", streams: true, body: (n) => ({ model: "other", prompt: `say ${n}` }) },
  {
    path: "/v1/chat/completions",
    framing: "openai",
    streams: true,
    body: (n) => ({ model: "talker", messages: messages(n), stream: true }),
  },
  {
    path: "/v1/chat/completions",
    framing: "openai",
    streams: false,
    body: (n) => ({ model: "talker", messages: messages(n) }),
  },
  {
    path: "/v1/messages",
    framing: "anthropic",
    streams: true,
    body: (n) => ({ model: "other", messages: messages(n), max_tokens: 9, stream: true }),
  },
  { path: "/api/embed", framing: "native", streams: false, body: (n) => ({ model: "compass", input: `word ${n}` }) },
  {
    path: "/v1/embeddings",
    framing: "openai",
    streams: false,
    body: (n) => ({ model: "compass", input: `word ${n % 50}` }),
  },
]

const recital = (model: string): Call => ({
  path: "/api/generate",
  framing: "native",
  streams: true,
  body: (n) => ({ model, prompt: `recite ${n}` }),
})

export const long = recital("speaker")
/** Long enough to fill every buffer on the way to a client that does not read, including the kernel's. */
export const endless = recital(orator)

const parsed = (text: string): Record<string, unknown> | undefined => {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === "object" && value !== null ? { ...value } : undefined
  } catch {
    return undefined
  }
}

/** Whether the record is an error in the shape of its dialect. */
const isError = (framing: Framing, record: Record<string, unknown> | undefined): boolean =>
  record !== undefined &&
  (framing === "native"
    ? typeof record["error"] === "string"
    : typeof record["error"] === "object" && record["error"] !== null)

/** Judges an answer: `whole`, `error` (a well-formed one), or a text that says what is wrong with it. */
export const judge = ({ framing, path, streams }: Call, status: number, text: string): string => {
  if (status !== 200) {
    return isError(framing, parsed(text)) ? "error" : `status ${status} on ${path} with ${text.slice(0, 200)}`
  }
  if (!streams) {
    const answer = parsed(text)
    const fields = ["message", "choices", "embeddings", "data"]
    if (isError(framing, answer)) return "error"
    return answer !== undefined && fields.some((field) => field in answer)
      ? "whole"
      : `no answer: ${text.slice(0, 200)}`
  }
  const last = text.trimEnd().split("\n").at(-1) ?? ""
  if (last === "data: [DONE]") return "whole"
  const record = parsed(last.startsWith("data: ") ? last.slice(6) : last)
  if (record?.["done"] === true || record?.["type"] === "message_stop") return "whole"
  return isError(framing, record) ? "error" : `${path} ends in ${last.slice(0, 200)}`
}
