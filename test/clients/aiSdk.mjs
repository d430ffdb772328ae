/**
 * The AI SDK of Vercel (`ai`) with `ollama-ai-provider-v2`: `LLAMERO_URL=http://127.0.0.1:11435
 * OLLAMA_DIRECT_URL=http://127.0.0.1:11434 node test/clients/aiSdk.mjs`.
 *
 * JavaScript, and imported by variables: the types of `ai` are too deep for `deno check`, which ends with an error.
 */
import { city, compare, image } from "./compare.ts"
import * as Support from "./support.ts"

const packages = ["ai", "ollama-ai-provider-v2"]
const [ai, { createOllama }] = await Promise.all(packages.map((name) => import(name)))
const { embed, embedMany, generateText, jsonSchema, Output, streamText, tool } = ai
const models = await Support.models()
const to = (base) => createOllama({ baseURL: `${base}/api` })
const prompt = "Why is the sky blue?"
const options = { maxOutputTokens: 8, temperature: 0, maxRetries: 0 }
const schema = jsonSchema(city)
const tools = { weather: tool({ description: "The weather of a city", inputSchema: schema }) }
const calls = (made) => made.map(({ input, toolName }) => ({ input, toolName }))

await compare({
  "chat": async (base) => {
    const { finishReason, text, usage } = await generateText({ ...options, model: to(base)(models.chat), prompt })
    return { finishReason, text, input: usage.inputTokens, output: usage.outputTokens }
  },
  "stream": async (base) => {
    const { finishReason, textStream } = streamText({ ...options, model: to(base)(models.chat), prompt })
    const parts = []
    for await (const part of textStream) parts.push(part)
    return { parts, finishReason: await finishReason }
  },
  "tools": async (base) =>
    calls((await generateText({ ...options, model: to(base)(models.chat), prompt, tools })).toolCalls),
  "tools, streamed": async (base) => {
    const result = streamText({ ...options, model: to(base)(models.chat), prompt, tools })
    await result.consumeStream()
    return calls(await result.toolCalls)
  },
  "a JSON schema": async (base) =>
    (await generateText({ ...options, model: to(base)(models.chat), prompt, output: Output.object({ schema }) }))
      .output,
  "an image": async (base) => {
    const content = [
      { type: "text", text: "What?" },
      { type: "file", data: image, mediaType: "image/png" },
    ]
    const messages = [{ role: "user", content }]
    return (await generateText({ ...options, model: to(base)(models.chat), messages })).text
  },
  "embeddings": async (base) => {
    const model = to(base).embeddingModel(models.embed)
    const one = await embed({ model, value: "hello", maxRetries: 0 })
    const several = await embedMany({ model, values: ["hello", "world"], maxRetries: 0 })
    return { one: one.embedding, several: several.embeddings }
  },
}, {
  "unknown model": (base) => generateText({ ...options, model: to(base)("no-such-model"), prompt }),
  "unknown model, streamed": async (base) => {
    let failure
    const model = to(base)("no-such-model")
    const { textStream } = streamText({ ...options, model, prompt, onError: ({ error }) => void (failure = error) })
    for await (const _ of textStream) { /* It fails before. */ }
    throw failure
  },
  "unknown model to embed": (base) =>
    embed({ model: to(base).embeddingModel("no-such-model"), value: "x", maxRetries: 0 }),
})
