/** The official `openai` package against llamero: `LLAMERO_URL=http://127.0.0.1:11435 node test/clients/openai.ts`. */
import OpenAI from "openai"
import { check, fails, finish, is, llamero, models, that } from "./support.ts"

const client = new OpenAI({ baseURL: `${llamero}/v1`, apiKey: "none", maxRetries: 0 })
const { chat, embed } = await models()
const messages = [{ role: "user" as const, content: "Why is the sky blue?" }]
const request = { model: chat, messages, max_tokens: 8, temperature: 0, seed: 1 }

await check("models.list", async () => {
  const ids: Array<string> = []
  for await (const { id } of client.models.list()) ids.push(id)
  that(ids.includes(chat) && ids.includes(embed), `ids are ${ids}`)
})

await check("models.retrieve", async () => is((await client.models.retrieve(chat)).id, chat, "id"))

let whole = ""

await check("chat.completions", async () => {
  const { choices, usage } = await client.chat.completions.create(request)
  whole = choices[0]?.message.content ?? ""
  that(whole.length > 0 && usage !== undefined && usage.completion_tokens > 0, "nothing was said")
})

await check("chat.completions, streamed, with usage, says the same", async () => {
  let text = ""
  let finished = ""
  let tokens = 0
  const stream = await client.chat.completions.create({
    ...request,
    stream: true,
    stream_options: { include_usage: true },
  })
  for await (const { choices, usage } of stream) {
    text += choices[0]?.delta.content ?? ""
    finished = choices[0]?.finish_reason ?? finished
    tokens = usage?.completion_tokens ?? tokens
  }
  is(text, whole, "text")
  that(finished !== "" && tokens > 0, `finish_reason is ${finished}, tokens ${tokens}`)
})

await check("completions", async () => {
  const { choices } = await client.completions.create({ model: chat, prompt: "Why?", max_tokens: 8 })
  that((choices[0]?.text ?? "").length > 0, "nothing was said")
})

await check("completions, streamed", async () => {
  let text = ""
  const stream = await client.completions.create({ model: chat, prompt: "Why?", max_tokens: 8, stream: true })
  for await (const { choices } of stream) text += choices[0]?.text ?? ""
  that(text.length > 0, "nothing was said")
})

await check("embeddings, as numbers and as base64", async () => {
  const plain = await client.embeddings.create({ model: embed, input: ["a", "b"], encoding_format: "float" })
  is(plain.data.map(({ index }) => index), [0, 1], "indices")
  // Without a format the package asks for base64 and decodes it itself.
  const decoded = await client.embeddings.create({ model: embed, input: ["a", "b"] })
  is(decoded.data[1]?.embedding.length, plain.data[1]?.embedding.length, "length")
})

await check("responses", async () => {
  const { output_text, status } = await client.responses.create({ model: chat, input: "Why?", max_output_tokens: 8 })
  that(status === "completed" || status === "incomplete", `status is ${status}`)
  that(output_text.length > 0, "nothing was said")
})

await check("responses, streamed", async () => {
  let last = ""
  let text = ""
  const stream = await client.responses.create({ model: chat, input: "Why?", max_output_tokens: 8, stream: true })
  for await (const event of stream) {
    last = event.type
    if (event.type === "response.output_text.delta") text += event.delta
  }
  is(last, "response.completed", "the last event")
  that(text.length > 0, "nothing was said")
})

await check("abort half way, and the next request is served", async () => {
  const stream = await client.chat.completions.create({ ...request, max_tokens: 100_000, stream: true })
  let chunks = 0
  for await (const _ of stream) if (++chunks === 3) break
  const { choices } = await client.chat.completions.create(request)
  is(choices[0]?.message.content, whole, "content")
})

await check("unknown model", async () => {
  const error = await fails(() => client.chat.completions.create({ ...request, model: "no-such-model" }))
  is([error["status"], error["type"]], [404, "not_found_error"], "error")
  that(error.message.includes("model 'no-such-model' not found"), error.message)
})

await check("bad body", async () => {
  const bad = { model: chat, prompt: ["a", "b"], max_tokens: 1 }
  const error = await fails(() => client.completions.create(bad))
  is([error["status"], error["type"]], [400, "invalid_request_error"], "error")
})

finish()
