/** The official `ollama` package against llamero: `LLAMERO_URL=http://127.0.0.1:11435 node test/clients/ollama.ts`. */
import { Ollama } from "ollama"
import { check, fails, finish, is, llamero, models, that } from "./support.ts"

const client = new Ollama({ host: llamero })
const { chat, embed } = await models()
const options = { num_predict: 8, temperature: 0, seed: 1 }
const messages = [{ role: "user", content: "Why is the sky blue?" }]

await check("version", async () => that((await client.version()).version !== "", "version is empty"))

await check("list has the models", async () => {
  const names = (await client.list()).models.map(({ model }) => model)
  that(names.includes(chat) && names.includes(embed), `list is ${names}`)
})

await check("show", async () => {
  const { details } = await client.show({ model: chat })
  is(details.format, "gguf", "format")
})

let whole = ""

await check("generate", async () => {
  const answer = await client.generate({ model: chat, prompt: "Why?", options })
  whole = answer.response ?? ""
  is(answer.done, true, "done")
  that(whole.length > 0 && (answer.eval_count ?? 0) > 0, "nothing was generated")
})

await check("generate, streamed, says the same", async () => {
  let text = ""
  let chunks = 0
  let done = false
  for await (const part of await client.generate({ model: chat, prompt: "Why?", options, stream: true })) {
    text += part.response
    done = part.done
    chunks++
  }
  is(text, whole, "text")
  that(done && chunks > 1, `${chunks} chunks, done is ${done}`)
})

await check("chat", async () => {
  const { message } = await client.chat({ model: chat, messages, options })
  is(message.role, "assistant", "role")
  whole = message.content
  that(whole.length > 0, "nothing was said")
})

await check("chat, streamed, says the same", async () => {
  let text = ""
  for await (const part of await client.chat({ model: chat, messages, options, stream: true })) {
    text += part.message.content
  }
  is(text, whole, "text")
})

await check("ps has the model", async () => {
  const running = (await client.ps()).models.map(({ model }) => model)
  that(running.includes(chat), `running is ${running}`)
})

await check("embed, one and several", async () => {
  const one = await client.embed({ model: embed, input: "hello" })
  const several = await client.embed({ model: embed, input: ["hello", "world"] })
  is(several.embeddings.length, 2, "count")
  is(several.embeddings[0], one.embeddings[0], "the first embedding")
})

await check("embeddings, the older call", async () => {
  const { embedding } = await client.embeddings({ model: embed, prompt: "hello" })
  that(embedding.length > 0, "it is empty")
})

await check("abort half way, and the next request is served", async () => {
  const endless = { ...options, num_predict: 100_000 }
  const stream = await client.generate({ model: chat, prompt: "Why?", options: endless, stream: true })
  let chunks = 0
  const error = await fails(async () => {
    for await (const _ of stream) if (++chunks === 3) stream.abort()
    // A short answer may be complete before the abort.
    throw new DOMException("ended", "AbortError")
  })
  is(error.name, "AbortError", "error")
  that(chunks >= 1, "no chunk came")
  const after = await client.generate({ model: chat, prompt: "Why?", options })
  is(after.done, true, "done")
})

await check("unknown model", async () => {
  const error = await fails(() => client.generate({ model: "no-such-model", prompt: "x" }))
  is([error["status_code"], error.message], [404, "model 'no-such-model' not found"], "error")
})

await check("unknown model, streamed", async () => {
  const error = await fails(() => client.chat({ model: "no-such-model", messages, stream: true }))
  is([error["status_code"], error.message], [404, "model 'no-such-model' not found"], "error")
})

await check("unknown model to embed", async () => {
  const error = await fails(() => client.embed({ model: "no-such-model", input: "x" }))
  is(error.message, `model "no-such-model" not found, try pulling it first`, "error")
})

await check("bad keep_alive", async () => {
  const error = await fails(() => client.generate({ model: chat, prompt: "x", keep_alive: "soon" }))
  is([error["status_code"], error.message], [400, `time: invalid duration "soon"`], "error")
})

await check("an unload, as of `ollama stop`, unloads what this client has used, and loads nothing", async () => {
  const inMemory = async (): Promise<ReadonlyArray<string>> => (await client.ps()).models.map(({ model }) => model)
  await client.generate({ model: chat, prompt: "Why?", options })
  await client.embed({ model: embed, input: "Why?" })
  that((await inMemory()).length >= 2, `in memory: ${await inMemory()}`)
  for (const model of [chat, embed, chat]) {
    const answer = await client.generate({ model, prompt: "", keep_alive: model === chat ? 0 : "0m0s" })
    is([answer.done, answer.done_reason, answer.response], [true, "unload", ""], model)
  }
  const left = (await inMemory()).filter((model) => model === chat || model === embed)
  is(left, [], "left in memory")
  const again = await client.generate({ model: chat, prompt: "Why?", options })
  is(again.response, whole, "response after it")
})

await check("pull is refused with a reason", async () => {
  const error = await fails(() => client.pull({ model: chat }))
  is(error["status_code"], 403, "status")
  that(/^pull is not allowed/.test(error.message), error.message)
})

finish()
