/**
 * `/api/generate` and `/api/chat`.
 *
 * @since 0.1.0
 */
import { Effect, Option, Result } from "effect"
import { goJson } from "../go/encode.ts"
import { parseKeepAlive } from "../go/time.ts"
import * as native from "../dialects/native.ts"
import {
  answerJson,
  body,
  type Endpoint,
  type EndpointCall,
  inferenceModel,
  notFound,
  refuse,
  required,
  wantedOf,
} from "./endpoint.ts"
import type { Failure } from "../http/failure.ts"
import type { GoStruct } from "../go/decode.ts"
import { generate, type Generation } from "./generation.ts"
import { type Message, render } from "../models/language.ts"
import { isEmbedder, type SimulatedModel } from "../models/model.ts"
import { parseName } from "../models/names.ts"

const common = {
  model: "string",
  stream: "*bool",
  format: "any",
  keep_alive: "any",
  options: "map[string]interface {}",
  think: "any",
  truncate: "*bool",
  shift: "*bool",
  logprobs: "bool",
  top_logprobs: "int",
} as const

const generateRequest: GoStruct = {
  name: "GenerateRequest",
  fields: {
    ...common,
    prompt: "string",
    suffix: "string",
    system: "string",
    template: "string",
    context: "[]int",
    raw: "bool",
    images: "[]string",
    _debug_render_only: "bool",
  },
}

const chatRequest: GoStruct = { name: "ChatRequest", fields: { ...common, messages: "list", tools: "list" } }

/**
 * The values that every generating endpoint reads from its body.
 *
 * @category models
 * @since 0.1.0
 */
export interface Shared {
  readonly request: Record<string, unknown>
  readonly model: SimulatedModel
}

/**
 * A `Generation` from a body, without prompt and dialect.
 *
 * @category decoding
 * @since 0.1.0
 */
export const generation = (
  call: EndpointCall,
  { request, model }: Shared,
): Effect.Effect<Omit<Generation, "prompt" | "dialect" | "context">, Failure> =>
  Effect.map(wantedOf(call, model, request), (wanted) => {
    const { num_predict: predict, stop } = wanted.asked
    const format = request["format"]
    const known = format === undefined || format === "" || format === "json" || typeof format === "object"
    return {
      wanted,
      limit: typeof predict === "number" && predict >= 0 ? predict : Infinity,
      stop: Array.isArray(stop) ? stop.filter((ending) => typeof ending === "string" && ending !== "") : [],
      stream: request["stream"] !== false,
      truncate: request["truncate"] !== false,
      formatProblem: known ? undefined : String(format),
    }
  })

/** Refuses a request for something that the model cannot do. */
const checkCapabilities = (
  { request, model }: Shared,
  verb: string,
  needs: ReadonlyArray<string>,
): Effect.Effect<void, Failure> => {
  const spelled = String(request["model"])
  if (isEmbedder(model)) return refuse(400, `${JSON.stringify(spelled)} does not support ${verb}`)
  const thinks = request["think"] !== undefined && request["think"] !== false
  if (thinks && !model.capabilities.includes("thinking")) {
    return refuse(400, `${JSON.stringify(spelled)} does not support thinking`)
  }
  const lacks = needs.filter((need) => !model.capabilities.includes(need))
  if (lacks.length === 0) return Effect.void
  return refuse(400, `${parseName(model.name)?.full ?? model.name} does not support ${lacks.join(", ")}`)
}

const isFilled = (value: unknown): boolean => Array.isArray(value) && value.length > 0

const checkLogprobs = (request: Record<string, unknown>): Effect.Effect<void, Failure> => {
  const count = Number(request["top_logprobs"] ?? 0)
  return count >= 0 && count <= 20 ? Effect.void : refuse(400, "top_logprobs must be between 0 and 20")
}

/**
 * An empty prompt with `keep_alive` 0, in any spelling, unloads the model. Ollama ignores the rest of such a request.
 * Above 0 it is a load, however short the time is.
 */
const isUnload = (request: Record<string, unknown>): boolean =>
  Option.contains(Result.getSuccess(parseKeepAlive(request["keep_alive"])), 0)

/**
 * The answer to a request that generates nothing. `extra` are the fields of this endpoint between the time and `done`.
 */
const loaded = (call: EndpointCall, spelled: string, extra: object, reason: "load" | "unload"): Effect.Effect<void> =>
  Effect.suspend(() =>
    answerJson(
      call,
      goJson({ model: spelled, created_at: call.reply.stamp, ...extra, done: true, done_reason: reason }),
    )
  )

/**
 * `POST /api/generate`.
 *
 * @category endpoints
 * @since 0.1.0
 */
export const generateEndpoint: Endpoint = Effect.fnUntraced(function* (call: EndpointCall) {
  const request = yield* body(call, generateRequest)
  yield* checkLogprobs(request)
  const spelled = String(request["model"] ?? "")
  const model = yield* inferenceModel(call, spelled)
  const prompt = String(request["prompt"] ?? "")
  if (prompt === "" && isUnload(request)) {
    call.scheduler.unload(model)
    return yield* loaded(call, spelled, { response: "" }, "unload")
  }
  if (request["raw"] === true && (request["template"] || request["system"] || isFilled(request["context"]))) {
    return yield* refuse(400, "raw mode does not support template, system, or context")
  }
  const shared = { request, model }
  yield* checkCapabilities(shared, "generate", request["suffix"] ? ["insert"] : [])
  const made = yield* generation(call, shared)
  if (prompt === "" && !request["suffix"]) {
    return yield* call.scheduler.use(made.wanted, () => loaded(call, spelled, { response: "" }, "load"))
  }
  const system = String(request["system"] ?? model.system)
  const messages = [...(system === "" ? [] : [{ role: "system", content: system }]), { role: "user", content: prompt }]
  yield* generate(call, {
    ...made,
    prompt: request["raw"] === true ? prompt : render(messages),
    context: Array.isArray(request["context"]) ? request["context"] : [],
    dialect: native.generate(spelled, () => call.reply.stamp),
  })
})

/**
 * The messages of a chat, with the model's own system prompt if they have none.
 *
 * @category decoding
 * @since 0.1.0
 */
export const conversation = (model: SimulatedModel, messages: ReadonlyArray<unknown>): ReadonlyArray<Message> => {
  const made = messages.map((message): Message => {
    const fields = typeof message === "object" && message !== null ? message as Record<string, unknown> : {}
    return { role: String(fields["role"] ?? ""), content: String(fields["content"] ?? "") }
  })
  return model.system === "" || made[0]?.role === "system" ? made : [{ role: "system", content: model.system }, ...made]
}

/**
 * `POST /api/chat`.
 *
 * @category endpoints
 * @since 0.1.0
 */
export const chatEndpoint: Endpoint = Effect.fnUntraced(function* (call: EndpointCall) {
  const request = yield* body(call, chatRequest)
  yield* checkLogprobs(request)
  const spelled = String(request["model"] ?? "")
  const model = yield* inferenceModel(call, spelled, notFound, required)
  const messages = Array.isArray(request["messages"]) ? request["messages"] : []
  const empty = { message: { role: "assistant", content: "" } }
  if (messages.length === 0 && isUnload(request)) {
    call.scheduler.unload(model)
    return yield* loaded(call, spelled, empty, "unload")
  }
  const shared = { request, model }
  const tools = Array.isArray(request["tools"]) && request["tools"].length > 0
  yield* checkCapabilities(shared, "chat", tools ? ["tools"] : [])
  const made = yield* generation(call, shared)
  if (messages.length === 0) {
    return yield* call.scheduler.use(made.wanted, () => loaded(call, spelled, empty, "load"))
  }
  yield* generate(call, {
    ...made,
    prompt: render(conversation(model, messages)),
    context: [],
    dialect: native.chat(spelled, () => call.reply.stamp),
  })
})
