/**
 * The official `@anthropic-ai/sdk` package: `LLAMERO_URL=http://127.0.0.1:11435
 * OLLAMA_DIRECT_URL=http://127.0.0.1:11434 node test/clients/anthropic.ts`.
 */
import Anthropic from "@anthropic-ai/sdk"
import { city, compare, image } from "./compare.ts"
import { models } from "./support.ts"

const { chat } = await models()
const to = (base: string) => new Anthropic({ baseURL: base, apiKey: "none", maxRetries: 0 })
const messages = [{ role: "user" as const, content: "Why is the sky blue?" }]
const request = { model: chat, max_tokens: 8, messages }
const tools = [{ name: "weather", description: "The weather of a city", input_schema: city }]
const picture = { type: "base64" as const, media_type: "image/png" as const, data: image }

/** Ids differ between any two answers. */
const said = ({ content, role, stop_reason, usage }: Anthropic.Message) => ({
  content: content.map((block) => "id" in block ? { ...block, id: "…" } : block),
  role,
  stop_reason,
  input: usage.input_tokens,
  output: usage.output_tokens,
})

await compare({
  "chat": async (base) => said(await to(base).messages.create(request)),
  "chat with a system prompt and a history": async (base) =>
    said(
      await to(base).messages.create({
        ...request,
        system: "Be short.",
        messages: [...messages, { role: "assistant", content: "Because." }, { role: "user", content: "Why?" }],
      }),
    ),
  "stream": async (base) => {
    const stream = to(base).messages.stream(request)
    let text = ""
    stream.on("text", (delta) => text += delta)
    const whole = said(await stream.finalMessage())
    return { ...whole, text }
  },
  "events of a stream": async (base) => {
    const types: Array<string> = []
    for await (const { type } of await to(base).messages.create({ ...request, stream: true })) types.push(type)
    return types
  },
  "tools": async (base) => said(await to(base).messages.create({ ...request, tools })),
  "tools, streamed": async (base) => said(await to(base).messages.stream({ ...request, tools }).finalMessage()),
  "an image": async (base) =>
    said(
      await to(base).messages.create({
        ...request,
        messages: [{ role: "user", content: [{ type: "image", source: picture }, { type: "text", text: "What?" }] }],
      }),
    ),
}, {
  "unknown model": (base) => to(base).messages.create({ ...request, model: "no-such-model" }),
  "unknown model, streamed": (base) => to(base).messages.stream({ ...request, model: "no-such-model" }).finalMessage(),
  "no messages": (base) => to(base).messages.create({ ...request, messages: [] }),
})
