/**
 * `/api/embed`, `/api/embeddings` and `/v1/embeddings`.
 *
 * @since 0.1.0
 */
import { Effect } from "effect"
import { goJson } from "../go/encode.ts"
import { json } from "../dialects/openAi.ts"
import {
  answer,
  answerJson,
  body,
  type Endpoint,
  type EndpointCall,
  inferenceModel,
  nameOf,
  notFound,
  refuse,
  required,
  wantedOf,
} from "./endpoint.ts"
import { Failure } from "../http/failure.ts"
import { float32, type GoStruct } from "../go/decode.ts"
import { prefillMillis, working } from "../scheduler/gpu.ts"
import type { Runner } from "../scheduler/runner.ts"
import { countTokens, embedding } from "../models/language.ts"
import { isEmbedder, type SimulatedModel } from "../models/model.ts"

const common = { model: "string", keep_alive: "any", options: "map[string]interface {}" } as const

const embedRequest: GoStruct = {
  name: "EmbedRequest",
  fields: { ...common, input: "any", truncate: "*bool", dimensions: "int" },
}

const legacyRequest: GoStruct = { name: "EmbeddingRequest", fields: { ...common, prompt: "string" } }

const openAiRequest: GoStruct = {
  name: "EmbedRequest",
  fields: { model: "string", input: "any", dimensions: "int", encoding_format: "string" },
}

const missing = (name: string): string => `model ${JSON.stringify(name)} not found, try pulling it first`

/** The texts of `input`: one, several, or none, which only loads the model. */
const inputs = (value: unknown): ReadonlyArray<string> | undefined => {
  if (value === undefined || value === "") return []
  if (typeof value === "string") return [value]
  return Array.isArray(value) && value.every((item) => typeof item === "string") ? value : undefined
}

interface Embedded {
  readonly vectors: ReadonlyArray<ReadonlyArray<number>>
  readonly tokens: number
  readonly total: number
  readonly load: number
}

/** Each input waits for the slot separately, because Ollama starts a goroutine for each. */
const embedOne = (
  call: EndpointCall,
  runner: Runner,
  text: string,
  truncate: boolean,
): Effect.Effect<number, Failure> =>
  runner.slots.use(Effect.suspend(() => {
    const tokens = countTokens(runner.model, text)
    if (tokens > runner.options.numCtx && !truncate) {
      return refuse(400, "the input length exceeds the context length")
    }
    const counted = Math.min(tokens, runner.options.numCtx)
    return working(
      runner.gpus,
      "reading",
      Effect.suspend(() => {
        const time = counted * prefillMillis(call.settings, runner.gpus)
        return time > 0 ? Effect.as(Effect.sleep(Math.ceil(time - 1e-6)), counted) : Effect.succeed(counted)
      }),
    )
  }))

const embed = Effect.fnUntraced(function* (
  call: EndpointCall,
  model: SimulatedModel,
  request: Record<string, unknown>,
  texts: ReadonlyArray<string>,
): Effect.fn.Return<Embedded, Failure> {
  const started = call.clock.monotonicTimeNanosUnsafe()
  const wanted = yield* wantedOf(call, model, request)
  if (call.settings.overhead > 0) yield* Effect.sleep(call.settings.overhead)
  return yield* call.scheduler.use(wanted, (runner) => {
    const loaded = call.clock.monotonicTimeNanosUnsafe()
    // The error comes from llama-server, so the model has been loaded before it.
    if (!isEmbedder(model)) {
      return refuse(501, "This server does not support embeddings. Start it with `--embeddings`")
    }
    const dimensions = typeof request["dimensions"] === "number" ? request["dimensions"] : undefined
    return Effect.map(
      Effect.forEach(texts, (text) => embedOne(call, runner, text, request["truncate"] !== false), {
        concurrency: texts.length > 1 ? "unbounded" : 1,
      }),
      (counts) => ({
        vectors: texts.map((text) => embedding(model, text, dimensions)),
        tokens: counts.reduce((sum, count) => sum + count, 0),
        total: Number(call.clock.monotonicTimeNanosUnsafe() - started),
        load: Number(loaded - started),
      }),
    )
  })
})

const vector = (values: ReadonlyArray<number>): string => `[${values.map(float32).join(",")}]`

const optional = (name: string, value: number): string => value === 0 ? "" : `,"${name}":${value}`

/**
 * `POST /api/embed`.
 *
 * @category endpoints
 * @since 0.1.0
 */
export const embedEndpoint: Endpoint = Effect.fnUntraced(function* (call: EndpointCall) {
  const request = yield* body(call, embedRequest)
  const spelled = String(request["model"] ?? "")
  // The name is read before the input, and looked up after it.
  yield* nameOf(spelled, new Failure({ status: 404, text: notFound(spelled) }))
  const texts = inputs(request["input"])
  if (texts === undefined) return yield* refuse(400, "invalid input type")
  const model = yield* inferenceModel(call, spelled, missing)
  const { vectors, tokens, total, load } = yield* embed(call, model, request, texts)
  const durations = texts.length === 0
    ? ""
    : optional("total_duration", total) + optional("load_duration", load) + optional("prompt_eval_count", tokens)
  yield* answerJson(call, `{"model":${goJson(spelled)},"embeddings":[${vectors.map(vector).join(",")}]${durations}}`)
})

/**
 * `POST /api/embeddings`, the old endpoint: one text, 64-bit floats.
 *
 * @category endpoints
 * @since 0.1.0
 */
export const embeddingsEndpoint: Endpoint = Effect.fnUntraced(function* (call: EndpointCall) {
  const request = yield* body(call, legacyRequest)
  const model = yield* inferenceModel(call, String(request["model"] ?? ""), missing, required)
  const texts = inputs(request["prompt"]) ?? []
  const { vectors } = yield* embed(call, model, request, texts)
  yield* answerJson(call, goJson({ embedding: vectors[0] ?? [] }))
})

/**
 * `POST /v1/embeddings`.
 *
 * @category endpoints
 * @since 0.1.0
 */
export const openAiEmbeddingsEndpoint: Endpoint = Effect.fnUntraced(function* (call: EndpointCall) {
  const request = yield* body(call, openAiRequest, "EOF")
  const texts = inputs(request["input"])
  if (texts === undefined || texts.length === 0) return yield* refuse(400, "invalid input")
  const format = String(request["encoding_format"] ?? "float")
  if (format !== "float" && format !== "base64") {
    return yield* refuse(400, `Invalid value for 'encoding_format' = ${format}. Supported values: ['float', 'base64'].`)
  }
  const spelled = String(request["model"] ?? "")
  const model = yield* inferenceModel(call, spelled, missing)
  const { vectors, tokens } = yield* embed(call, model, request, texts)
  const written = (values: ReadonlyArray<number>) =>
    format === "float" ? vector(values) : JSON.stringify(base64(values))
  const data = vectors.map((values, index) => `{"object":"embedding","embedding":${written(values)},"index":${index}}`)
  yield* answer(call, {
    contentType: json,
    body: `{"object":"list","data":[${data.join(",")}],"model":${goJson(spelled)},` +
      `"usage":{"prompt_tokens":${tokens},"total_tokens":${tokens}}}\n`,
  })
})

/** Little-endian 32-bit floats. */
const base64 = (values: ReadonlyArray<number>): string => {
  const view = new DataView(new ArrayBuffer(values.length * 4))
  values.forEach((value, index) => view.setFloat32(index * 4, value, true))
  return btoa(String.fromCharCode(...new Uint8Array(view.buffer)))
}
