/**
 * The `@langchain/ollama` package: `LLAMERO_URL=http://127.0.0.1:11435 OLLAMA_DIRECT_URL=http://127.0.0.1:11434 node
 * test/clients/langchain.ts`.
 */
import { HumanMessage } from "@langchain/core/messages"
import { ChatOllama, Ollama, OllamaEmbeddings } from "@langchain/ollama"
import { city, compare, image } from "./compare.ts"
import { models } from "./support.ts"

const { chat, embed } = await models()
const options = { model: chat, numPredict: 8, temperature: 0, seed: 1, maxRetries: 0 }
const to = (baseUrl: string, model = chat) => new ChatOllama({ ...options, model, baseUrl })
const question = "Why is the sky blue?"
const weather = { type: "function", function: { name: "weather", description: "The weather", parameters: city } }

await compare({
  "chat": async (base) => {
    const { content, usage_metadata } = await to(base).invoke(question)
    return { content, usage_metadata }
  },
  "stream": async (base) => {
    const parts: Array<unknown> = []
    for await (const { content } of await to(base).stream(question)) parts.push(content)
    return { parts, text: parts.join("") }
  },
  "tools": async (base) => {
    const { tool_calls } = await to(base).bindTools([weather]).invoke(question)
    return tool_calls?.map(({ args, name }) => ({ args, name }))
  },
  "a JSON schema": (base) => to(base).withStructuredOutput(city, { method: "jsonSchema" }).invoke(question),
  "an image": async (base) => {
    const content = [
      { type: "text", text: "What?" },
      { type: "image_url", image_url: `data:image/png;base64,${image}` },
    ]
    return (await to(base).invoke([new HumanMessage({ content })])).content
  },
  "completion": (base) => new Ollama({ ...options, baseUrl: base }).invoke(question),
  "embeddings": async (base) => {
    const client = new OllamaEmbeddings({ model: embed, baseUrl: base, maxRetries: 0 })
    return { one: await client.embedQuery("hello"), several: await client.embedDocuments(["hello", "world"]) }
  },
}, {
  "unknown model": (base) => to(base, "no-such-model").invoke(question),
  "unknown model, streamed": async (base) => {
    for await (const _ of await to(base, "no-such-model").stream(question)) { /* It fails before. */ }
  },
  "unknown model to embed": (base) =>
    new OllamaEmbeddings({ model: "no-such-model", baseUrl: base, maxRetries: 0 }).embedQuery("x"),
})
