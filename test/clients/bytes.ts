/**
 * Makes the same calls to llamero and directly to its backend. Status, content type and body must be equal, except for
 * times, ids and dates. `LLAMERO_URL=http://127.0.0.1:11435 OLLAMA_DIRECT_URL=http://127.0.0.1:11434 node
 * test/clients/bytes.ts`
 */
import { check, direct, finish, llamero, models } from "./support.ts"

const { chat, embed } = await models()
const options = { num_predict: 8, temperature: 0, seed: 1 }
const user = [{ role: "user", content: "Why is the sky blue? <&>" }]

interface Case {
  readonly method?: string
  readonly path: string
  /** Sent as JSON unless it is text already. */
  readonly body?: unknown
}

const post = (path: string, body: unknown): Case => ({ method: "POST", path, body })

const cases: ReadonlyArray<Case> = [
  { path: "/" },
  { path: "/api/version" },
  { path: "/api/tags" },
  { method: "HEAD", path: "/api/tags" },
  { path: "/api/status" },
  { path: "/v1/models" },
  { path: `/v1/models/${chat}` },
  post("/api/show", { model: chat }),
  post("/api/show", { name: chat, verbose: true }),
  post("/api/generate", { model: chat }),
  post("/api/generate", { model: chat, prompt: "Why?", options }),
  post("/api/generate", { model: chat, prompt: "Why?", options, stream: false }),
  post("/api/generate", { MODEL: chat.toUpperCase(), Prompt: "Why?", options, Stream: false }),
  post("/api/chat", { model: chat, messages: [] }),
  post("/api/chat", { model: chat, messages: user, options }),
  post("/api/chat", { model: chat, messages: user, options, stream: false }),
  { path: "/api/ps" },
  post("/api/embed", { model: embed, input: "hello" }),
  post("/api/embed", { model: embed, input: ["hello", "world"] }),
  post("/api/embed", { model: embed }),
  post("/api/embeddings", { model: embed, prompt: "hello" }),
  post("/v1/chat/completions", { model: chat, messages: user, max_tokens: 8, temperature: 0, seed: 1 }),
  post("/v1/chat/completions", {
    model: chat,
    messages: user,
    max_tokens: 8,
    stream: true,
    stream_options: { include_usage: true },
  }),
  post("/v1/completions", { model: chat, prompt: "Why?", max_tokens: 8 }),
  post("/v1/completions", { model: chat, prompt: "Why?", max_tokens: 8, stream: true }),
  post("/v1/embeddings", { model: embed, input: "hello" }),
  post("/v1/responses", { model: chat, input: "Why?", max_output_tokens: 8 }),
  post("/v1/responses", { model: chat, input: "Why?", max_output_tokens: 8, stream: true }),
  post("/v1/messages", { model: chat, max_tokens: 8, messages: user }),
  post("/v1/messages", { model: chat, max_tokens: 8, messages: user, stream: true }),
  // Mistakes of clients.
  { path: "/nope" },
  { path: "/api/generate" },
  post("/api/tags", {}),
  { method: "HEAD", path: "/api/ps" },
  { method: "POST", path: "/api/generate" },
  post("/api/generate", "{bad"),
  post("/api/generate", "{}"),
  post("/api/chat", "{}"),
  post("/api/embed", "{}"),
  post("/api/show", "{}"),
  post("/api/show", "{bad"),
  post("/api/generate", { model: "nope", prompt: "x" }),
  post("/api/chat", { model: "nope", messages: [] }),
  post("/api/embed", { model: "nope", input: "x" }),
  post("/api/embeddings", { model: "nope", prompt: "x" }),
  post("/api/show", { model: "nope" }),
  { path: "/v1/models/nope" },
  post("/api/chat", { model: embed, messages: user }),
  post("/api/generate", { model: embed, prompt: "x" }),
  post("/api/embed", { model: chat, input: "x" }),
  post("/api/generate", { model: chat, prompt: "x", options: { num_predict: "4" } }),
  post("/api/generate", { model: chat, prompt: "x", keep_alive: "abc" }),
  post("/api/generate", { model: chat, prompt: "x", think: true }),
  post("/api/generate", { model: chat, prompt: "x", suffix: "y" }),
  post("/api/generate", { model: chat, prompt: "x", format: "xml" }),
  post("/v1/chat/completions", { model: "nope", messages: user }),
  post("/v1/chat/completions", { model: chat, messages: [] }),
  post("/v1/completions", { model: chat, prompt: ["a", "b"] }),
  post("/v1/messages", { model: "nope", max_tokens: 1, messages: user }),
  post("/v1/messages", { model: chat, messages: user }),
]

/** Times, ids and dates differ between any two calls. Everything else must not differ. */
const normal = (body: string): string =>
  body
    .replace(/,?"(total|load|prompt_eval|eval)_duration":\d+/g, "")
    .replace(/"(created_at|expires_at)":"[^"]*"/g, `"$1":"…"`)
    .replace(/"(created|created_at|completed_at)":\d+/g, `"$1":0`)
    .replace(/"request_id":"req_[^"]+"/g, `"request_id":"req_…"`)
    .replace(/"(chatcmpl-|cmpl-|msg_|resp_|rs_|fc_)[\w-]*"/g, `"$1…"`)

const send = async (base: string, { body, method = "GET", path }: Case): Promise<string> => {
  const text = typeof body === "string" ? body : JSON.stringify(body)
  const response = await fetch(base + path, { method, ...(text === undefined ? {} : { body: text }) })
  return `${response.status} ${response.headers.get("content-type")}\n${normal(await response.text())}`
}

if (direct === "") throw new Error("OLLAMA_DIRECT_URL says where to compare with")
// Loads the model before anything is compared.
await send(llamero, post("/api/generate", { model: chat }))
await send(llamero, post("/api/embed", { model: embed }))

for (const one of cases) {
  const shown = one.body === undefined ? "" : ` ${typeof one.body === "string" ? one.body : JSON.stringify(one.body)}`
  await check(`${one.method ?? "GET"} ${one.path}${shown.slice(0, 90)}`, async () => {
    const wanted = await send(direct, one)
    const got = await send(llamero, one)
    if (got !== wanted) throw new Error(`llamero\n${got}\nis not the backend's\n${wanted}`)
  })
}

finish()
