/**
 * `/v1/chat/completions`, `/v1/completions`, `/v1/responses` and `/v1/messages`: as in Ollama, a request is translated
 * to a native one, and its answer back.
 *
 * @since 0.1.0
 */
import { Effect, Result } from "effect"
import * as anthropic from "../dialects/anthropic.ts"
import type { Dialect } from "../dialects/dialect.ts"
import * as openAi from "../dialects/openAi.ts"
import { responses } from "../dialects/responses.ts"
import { body, type Endpoint, type EndpointCall, inferenceModel, notFound, refuse, required } from "./endpoint.ts"
import type { Failure } from "../http/failure.ts"
import type { GoStruct, GoType } from "../go/decode.ts"
import { form } from "../go/form.ts"
import { generate } from "./generation.ts"
import { type Message, render } from "../models/language.ts"
import { isEmbedder } from "../models/model.ts"
import { parseName } from "../models/names.ts"
import { conversation, generation } from "./inference.ts"

const shared: Readonly<Record<string, GoType>> = {
  model: "string",
  stream: "bool",
  temperature: "any",
  top_p: "any",
  tools: "list",
}

const struct = (name: string, fields: Readonly<Record<string, GoType>>): GoStruct => ({
  name,
  fields: { ...shared, ...fields },
})

const chatRequest = struct("ChatCompletionRequest", {
  messages: "list",
  stream_options: "object",
  max_tokens: "int",
  seed: "int",
  stop: "any",
  response_format: "object",
  reasoning_effort: "string",
})
const completionRequest = struct("CompletionRequest", {
  prompt: "string",
  stream_options: "object",
  max_tokens: "int",
  stop: "any",
  suffix: "string",
})
const responsesRequest = struct("ResponsesRequest", { input: "any", instructions: "string", max_output_tokens: "int" })
const messagesRequest = struct("MessagesRequest", {
  max_tokens: "int",
  messages: "list",
  system: "any",
  stop_sequences: "[]string",
})

/** The text of a content that is a string or a list of parts. */
const textOf = (content: unknown): string =>
  typeof content === "string"
    ? content
    : Array.isArray(content)
    ? content.map((part) => String((part as Record<string, unknown> | null)?.["text"] ?? "")).join("")
    : ""

const messagesOf = (list: unknown): ReadonlyArray<Message> =>
  (Array.isArray(list) ? list : []).map((item) => {
    const fields = (item ?? {}) as Record<string, unknown>
    return { role: String(fields["role"] ?? "user"), content: textOf(fields["content"]) }
  })

interface Translated {
  readonly request: Record<string, unknown>
  readonly limit: unknown
  readonly stop: unknown
  readonly messages: ReadonlyArray<Message> | undefined
  readonly prompt: string
  readonly dialect: Dialect
}

/** Answers a translated request as the native endpoint would. `/v1` has neither `keep_alive` nor `num_ctx`. */
const run = Effect.fnUntraced(function* (call: EndpointCall, translated: Translated): Effect.fn.Return<void, Failure> {
  const spelled = String(translated.request["model"] ?? "")
  const model = yield* translated.messages === undefined
    ? inferenceModel(call, spelled)
    : inferenceModel(call, spelled, notFound, required)
  if (isEmbedder(model)) {
    const verb = translated.messages === undefined ? "generate" : "chat"
    return yield* refuse(400, `${JSON.stringify(spelled)} does not support ${verb}`)
  }
  const tools = translated.request["tools"]
  if (Array.isArray(tools) && tools.length > 0 && !model.capabilities.includes("tools")) {
    return yield* refuse(400, `${parseName(model.name)?.full ?? model.name} does not support tools`)
  }
  const stop = typeof translated.stop === "string" ? [translated.stop] : translated.stop
  const made = yield* generation(call, {
    model,
    request: {
      stream: translated.request["stream"] === true,
      options: {
        ...(typeof translated.limit === "number" ? { num_predict: translated.limit } : {}),
        ...(Array.isArray(stop) ? { stop } : {}),
      },
    },
  })
  const prompt = translated.messages === undefined
    ? render([{ role: "user", content: translated.prompt }])
    : render(conversation(model, translated.messages))
  yield* generate(call, { ...made, prompt, context: [], dialect: translated.dialect })
})

const withUsage = (request: Record<string, unknown>): boolean =>
  (request["stream_options"] as Record<string, unknown> | undefined)?.["include_usage"] === true

/** Seconds since 1970. */
const seconds = (call: EndpointCall): number => Math.floor(call.clock.currentTimeMillisUnsafe() / 1000)

/** Hex digits that differ between answers, and are the same in the same history. */
export const hexId = (number: number): string =>
  (BigInt(number + 1) * 0x9e3779b97f4a7c15f39ccn).toString(16).padStart(24, "0").slice(-24)

/**
 * `POST /v1/chat/completions`.
 *
 * @category endpoints
 * @since 0.1.0
 */
export const chatCompletionsEndpoint: Endpoint = Effect.fnUntraced(function* (call: EndpointCall) {
  const request = yield* body(call, chatRequest, "EOF")
  const messages = messagesOf(request["messages"])
  if (messages.length === 0) return yield* refuse(400, "[] is too short - 'messages'")
  const model = String(request["model"] ?? "")
  yield* run(call, {
    request,
    limit: request["max_tokens"],
    stop: request["stop"],
    messages,
    prompt: "",
    dialect: openAi.chat(model, call.number % 1000, seconds(call), withUsage(request)),
  })
})

/**
 * `POST /v1/completions`.
 *
 * @category endpoints
 * @since 0.1.0
 */
export const completionsEndpoint: Endpoint = Effect.fnUntraced(function* (call: EndpointCall) {
  const request = yield* body(call, completionRequest, "EOF")
  yield* run(call, {
    request,
    limit: request["max_tokens"],
    stop: request["stop"],
    messages: undefined,
    prompt: String(request["prompt"] ?? ""),
    dialect: openAi.completions(String(request["model"] ?? ""), call.number % 1000, seconds(call), withUsage(request)),
  })
})

/**
 * `POST /v1/responses`.
 *
 * @category endpoints
 * @since 0.1.0
 */
export const responsesEndpoint: Endpoint = Effect.fnUntraced(function* (call: EndpointCall) {
  const request = yield* body(call, responsesRequest, "EOF")
  const input = request["input"]
  const instructions = typeof request["instructions"] === "string" ? request["instructions"] : null
  const turns = typeof input === "string" ? [{ role: "user", content: input }] : messagesOf(input)
  const limit = request["max_output_tokens"]
  const number = (value: unknown, otherwise: number) => typeof value === "number" ? value : otherwise
  const asked = {
    model: String(request["model"] ?? ""),
    instructions,
    maxOutputTokens: typeof limit === "number" ? limit : null,
    temperature: number(request["temperature"], 1),
    topP: number(request["top_p"], 1),
  }
  yield* run(call, {
    request,
    limit,
    stop: undefined,
    messages: [...(instructions === null ? [] : [{ role: "system", content: instructions }]), ...turns],
    prompt: "",
    dialect: responses(asked, call.number % 1_000_000, seconds(call)),
  })
})

/**
 * `POST /v1/messages`.
 *
 * @category endpoints
 * @since 0.1.0
 */
export const messagesEndpoint: Endpoint = Effect.fnUntraced(function* (call: EndpointCall) {
  const request = yield* body(call, messagesRequest, "EOF")
  const limit = request["max_tokens"]
  const turns = messagesOf(request["messages"])
  const model = String(request["model"] ?? "")
  if (model === "") return yield* refuse(400, "model is required")
  if (!(typeof limit === "number" && limit > 0)) {
    return yield* refuse(400, "max_tokens is required and must be positive")
  }
  if (turns.length === 0) return yield* refuse(400, "messages is required")
  const system = textOf(request["system"])
  const messages = [...(system === "" ? [] : [{ role: "system", content: system }]), ...turns]
  const characters = messages.reduce((sum, message) => sum + message.content.length, 0)
  yield* run(call, {
    request,
    limit,
    stop: request["stop_sequences"],
    messages,
    prompt: "",
    dialect: anthropic.messages(model, hexId(call.number), Math.max(1, Math.floor(characters / 4))),
  })
})

/**
 * `POST /v1/audio/transcriptions`: fails, because no simulated model can hear.
 *
 * @category endpoints
 * @since 0.1.0
 */
export const transcriptionsEndpoint: Endpoint = (call) => {
  const { body, headers, path } = call.reply.request
  const type = headers[headers.findIndex((name, at) => at % 2 === 0 && name.toLowerCase() === "content-type") + 1]
  const read = form(body ?? new Uint8Array(), headers.length === 0 ? "" : type ?? "")
  if (Result.isFailure(read)) return refuse(400, `failed to parse multipart form: ${read.failure}`)
  // In Go's `FormValue`, the query of the path comes first.
  const spelled = new URLSearchParams(path.split("?")[1] ?? "").get("model") ?? read.success.values.get("model") ?? ""
  if (spelled === "") return refuse(400, "model is required")
  if (!read.success.files.has("file")) return refuse(400, "file is required: http: no such file")
  return Effect.flatMap(
    inferenceModel(call, spelled),
    () => refuse(400, `${JSON.stringify(spelled)} does not support audio`),
  )
}
