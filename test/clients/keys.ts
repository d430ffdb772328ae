/**
 * How the official clients react to keys. `LLAMERO_LIMITED_KEY` is for `LLAMERO_MODEL` only, once a minute:
 * `LLAMERO_URL=… LLAMERO_KEY=… LLAMERO_LIMITED_KEY=… LLAMERO_MODEL=… LLAMERO_OTHER_MODEL=… node test/clients/keys.ts`.
 */
import process from "node:process"
import { Ollama } from "ollama"
import OpenAI from "openai"
import { check, fails, finish, is, llamero, that } from "./support.ts"

const env = (name: string): string => process.env[name] ?? ""
const key = env("LLAMERO_KEY")
const limited = env("LLAMERO_LIMITED_KEY")
const model = env("LLAMERO_MODEL")
const foreign = env("LLAMERO_OTHER_MODEL")
const messages = [{ role: "user" as const, content: "Why is the sky blue?" }]

const ollama = (key: string) => new Ollama({ host: llamero, headers: { authorization: `Bearer ${key}` } })
const openai = (key: string) => new OpenAI({ baseURL: `${llamero}/v1`, apiKey: key, maxRetries: 0 })
const chat = (key: string, of = model) => ollama(key).chat({ model: of, messages, options: { num_predict: 2 } })
const complete = (key: string, of = model) =>
  openai(key).chat.completions.create({ model: of, messages, max_tokens: 2, stream: true })

await check("a key is all that they need", async () => {
  that((await chat(key)).message.content.length > 0, "ollama: nothing was said")
  let chunks = 0
  for await (const _ of await complete(key)) chunks++
  that(chunks > 0, "openai: nothing was said")
})

for (const wrong of ["sk-wrong", limited.slice(0, -1)]) {
  await check("ollama: ResponseError, 401", async () => {
    for (const call of [() => chat(wrong), () => ollama(wrong).list(), () => ollama(wrong).show({ model })]) {
      const error = await fails(call)
      is([error.name, error["status_code"]], ["ResponseError", 401], "error")
      is(error.message, "this API key is not valid", "message")
    }
  })

  await check("openai: AuthenticationError, invalid_api_key", async () => {
    for (const call of [() => complete(wrong), () => openai(wrong).models.list()]) {
      const error = await fails(call)
      that(error instanceof OpenAI.AuthenticationError, `it is ${error.constructor.name}`)
      is([error["status"], error["code"], error["type"]], [401, "invalid_api_key", "invalid_request_error"], "error")
      is(error.message, "401 this API key is not valid", "message")
    }
  })
}

await check("a key for one model shows that one", async () => {
  is((await ollama(limited).list()).models.map(({ model }) => model), [`${model}:latest`], "ollama list")
  const ids: Array<string> = []
  for await (const { id } of openai(limited).models.list()) ids.push(id)
  is(ids, [`${model}:latest`], "openai list")
})

await check("another model: 403, PermissionDeniedError", async () => {
  is((await fails(() => chat(limited, foreign)))["status_code"], 403, "ollama chat")
  is((await fails(() => ollama(limited).show({ model: foreign })))["status_code"], 403, "ollama show")
  const error = await fails(() => complete(limited, foreign))
  that(error instanceof OpenAI.PermissionDeniedError, `it is ${error.constructor.name}`)
  is(error["code"], "model_not_found", "code")
})

await check("over the limit: 429, RateLimitError, and when to come back", async () => {
  await chat(limited)
  is((await fails(() => chat(limited)))["status_code"], 429, "ollama chat")
  const error = await fails(() => complete(limited))
  that(error instanceof OpenAI.RateLimitError, `it is ${error.constructor.name}`)
  is([error["code"], error["type"]], ["rate_limit_exceeded", "rate_limit_error"], "error")
  const headers = error["headers"] as Headers
  that(Number(headers.get("retry-after")) > 0, "no Retry-After")
  is(headers.get("x-ratelimit-remaining-requests"), "0", "what is left")
})

finish()
