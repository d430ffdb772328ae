/**
 * Clients of every dialect that ask at the same time for a model that is not in memory yet. Each is as strict as the
 * client library that it stands for.
 */
import { Ollama } from "ollama"
import OpenAI from "openai"

type Fetch = (input: string | URL | Request, init?: RequestInit) => Promise<Response>

/** The fixed answer of `tiny-eos`. */
const said = Array.from({ length: 48 }, (_, i) => ` word${String(i).padStart(2, "0")}`).join("")

const fail = (why: string): never => {
  throw new Error(why)
}

/**
 * As the Python client, which calls `json.loads` on every line: no line may be blank, and its models need these fields.
 */
const lines = (body: string): string => {
  const all = body.split("\n")
  if (all.pop() !== "") fail("the last line has no end")
  let text = ""
  for (const [i, line] of all.entries()) {
    const chunk = JSON.parse(line)
    if (chunk.error !== undefined) fail(line)
    const piece = chunk.message === undefined ? chunk.response : chunk.message.content
    if (typeof chunk.model !== "string" || typeof chunk.created_at !== "string" || typeof piece !== "string") fail(line)
    if (chunk.message !== undefined && chunk.message.role !== "assistant") fail(line)
    if (chunk.done !== (i === all.length - 1)) fail(`done is ${chunk.done} in line ${i} of ${all.length}`)
    text += piece
  }
  return text
}

interface Event {
  readonly error?: unknown
  readonly type?: string
  readonly response?: string
  readonly delta?: { readonly text?: string }
  readonly choices?: ReadonlyArray<{ readonly delta: { readonly content?: string } }>
}

/**
 * As the decoder of the `openai` and `anthropic` packages for Python: comments are dropped, an event ends at a blank
 * line, all data is JSON without an error in it.
 */
const events = (body: string, text: (event: Event) => string | undefined): string => {
  let data: Array<string> = []
  let whole = ""
  for (const line of body.split("\n")) {
    if (line.startsWith(":")) continue
    if (line.startsWith("data: ")) data.push(line.slice(6))
    else if (line !== "" && !line.startsWith("event: ")) fail(`neither field nor comment: ${line}`)
    if (line !== "" || data.length === 0) continue
    const joined = data.join("\n")
    data = []
    if (joined === "[DONE]") continue
    const event: Event = JSON.parse(joined)
    if (event.error !== undefined || event.type === "error") fail(joined)
    whole += text(event) ?? ""
  }
  return whole
}

export interface Patient {
  readonly name: string
  /** Throws as the client would. Returns the number of heartbeats. */
  readonly ask: () => Promise<number>
}

/** Records the bytes that came through a `fetch`. */
const hearing = (fetch: Fetch) => {
  const bodies: Array<Promise<string>> = []
  const heard: Fetch = async (input, init) => {
    const response = await fetch(input, init)
    bodies.push(response.clone().text())
    return response
  }
  const signs = async () => {
    const body = (await Promise.all(bodies)).join("")
    return body.split(/^: keep-alive$|^\{[^\n]*"(?:response|content)":""[^\n]*"done":false\}$/m).length - 1
  }
  return { heard, signs }
}

export const patients = (url: string, fetch: Fetch): ReadonlyArray<Patient> => {
  const model = "tiny-eos"
  const messages = [{ role: "user" as const, content: "hi" }]
  const stream = true as const
  const patient = (name: string, use: (fetch: Fetch) => Promise<string>): Patient => ({
    name,
    ask: async () => {
      const { heard, signs } = hearing(fetch)
      const text = await use(heard)
      if (text !== said) fail(`it heard ${JSON.stringify(text)}`)
      return signs()
    },
  })
  const raw = (path: string, body: object, read: (body: string) => string) => async (fetch: Fetch) => {
    const sent = { method: "POST", body: JSON.stringify({ model, stream, ...body }) }
    const response = await fetch(`${url}${path}`, sent)
    if (response.status !== 200) fail(`${response.status} ${await response.text()}`)
    return read(await response.text())
  }
  const openai = (fetch: Fetch) => new OpenAI({ baseURL: `${url}/v1`, apiKey: "none", maxRetries: 0, fetch })
  return [
    patient("ollama, chat", async (fetch) => {
      let text = ""
      for await (const part of await new Ollama({ host: url, fetch }).chat({ model, messages, stream })) {
        text += part.message.content
      }
      return text
    }),
    patient("ollama, generate", async (fetch) => {
      let text = ""
      for await (const part of await new Ollama({ host: url, fetch }).generate({ model, prompt: "hi", stream })) {
        text += part.response
      }
      return text
    }),
    patient("openai, chat", async (fetch) => {
      let text = ""
      for await (const { choices } of await openai(fetch).chat.completions.create({ model, messages, stream })) {
        text += choices[0]?.delta.content ?? ""
      }
      return text
    }),
    patient("openai, completions", async (fetch) => {
      let text = ""
      for await (const { choices } of await openai(fetch).completions.create({ model, prompt: "hi", stream })) {
        text += choices[0]?.text ?? ""
      }
      return text
    }),
    patient("openai, responses", async (fetch) => {
      let text = ""
      for await (const event of await openai(fetch).responses.create({ model, input: "hi", stream })) {
        if (event.type === "response.output_text.delta") text += event.delta
      }
      return text
    }),
    patient("strict lines, chat", raw("/api/chat", { messages }, lines)),
    patient("strict lines, generate", raw("/api/generate", { prompt: "hi" }, lines)),
    patient(
      "strict events, chat",
      raw(
        "/v1/chat/completions",
        { messages },
        (body) => events(body, (event) => event.choices?.[0]?.delta.content),
      ),
    ),
    patient(
      "strict events, messages",
      raw("/v1/messages", { messages, max_tokens: 100 }, (body) => events(body, (event) => event.delta?.text)),
    ),
    patient(
      "strict events, generate-v1",
      raw("/api/v1/generate", { prompt: "hi" }, (body) => events(body, (event) => event.response)),
    ),
  ]
}
